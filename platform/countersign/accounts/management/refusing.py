"""Commands of Django's own that write people past the log: they refuse, and say what to do."""

from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError


class Refusing(BaseCommand):
    """Takes whatever it is given and does nothing."""

    requires_system_checks = []
    instead = ""

    def run_from_argv(self, argv: list[str]) -> None:
        # Whatever options Django's own command has: the answer is the same sentence.
        super().run_from_argv(argv[:2])

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("anything", nargs="*")

    def handle(self, *_: str, **__: Any) -> NoReturn:  # noqa: ANN401 - Django's signature
        raise CommandError(self.instead)
