"""``manage.py runtime_build``: make a named runtime from a hash-locked list of packages."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.sandbox import config, packages
from agents.sandbox.errors import SandboxError


class Command(BaseCommand):
    help = "Build a read-only runtime that agent versions can name, e.g. runtime_build data."
    requires_system_checks: list[str] = []  # Nothing but the jail is needed, no database either.

    def add_arguments(self, parser: ArgumentParser) -> None:
        known = ", ".join(packages.shipped())
        parser.add_argument("name", help=f"name of the runtime; lists that come along: {known}")
        parser.add_argument(
            "lock", nargs="?", type=Path, help="hash-locked list (uv pip compile --generate-hashes)"
        )

    def handle(self, **options: Any) -> None:
        try:
            home = config.from_settings().home
            built = packages.build(options["name"], options["lock"], home)
        except SandboxError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{built.name} {built.digest}\n{built.root}")
