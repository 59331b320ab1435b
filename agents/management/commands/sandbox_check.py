"""``manage.py sandbox_check``: try every promise of the jail on this machine."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.sandbox import check, config, runtime
from agents.sandbox.check import Finding
from agents.sandbox.errors import SandboxError


class Command(BaseCommand):
    help = "Probe a real jail and print what holds; exit status 1 if a promise fails."
    requires_system_checks: list[str] = []  # Nothing but the jail is needed, no database either.

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--runtime", default="stdlib", help="name of a built runtime")
        parser.add_argument(
            "--quick", action="store_true", help="only what is within reach: no limit is run into"
        )
        parser.add_argument("--json", action="store_true", help="print findings as JSON")

    def handle(self, **options: Any) -> None:
        try:
            setup = config.from_settings()
            chosen = runtime.named_runtime(options["runtime"], setup.home)
            look = check.check_reach if options["quick"] else check.check
            findings = look(setup, chosen)
        except SandboxError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([vars(one) for one in findings], indent=1))
        else:
            self._print(findings)
        if not check.holds(findings):
            raise CommandError("The jail does not keep all its promises: no run may start here.")

    def _print(self, findings: list[Finding]) -> None:
        width = max(len(one.promise) for one in findings)
        for one in findings:
            self.stdout.write(f"{one.verdict:<13} {one.promise:<{width}}  {one.detail}")
