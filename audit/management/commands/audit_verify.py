"""`manage.py audit_verify`: check the log in the database; exit status 1 on any finding."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit import verification
from audit.errors import UnknownWorkspace
from audit.naming import name_of, workspace_named
from audit.services import Actor
from audit.verify import Report, trees, verify_log

OPERATOR = Actor("system", "audit_verify", "Command line")


class Command(BaseCommand):
    help = "Find edited, deleted, swapped, inserted or cut-off entries of the log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workspace", default="", help="one: its name in addresses, its id, or: platform"
        )
        parser.add_argument(
            "--payloads", action="store_true", help="also open every payload (slower)"
        )

    def handle(self, *args: object, workspace: str, payloads: bool, **options: object) -> None:
        reports = []
        for tree in [_named(workspace)] if workspace else trees():
            report = verify_log(tree, open_payloads=payloads)
            verification.record_result(report, OPERATOR)
            self._print(report)
            reports.append(report)
        if not reports:
            self.stdout.write("The log is empty.")
        checks = [finding.check for report in reports for finding in report.findings]
        if set(checks) == {"unplaced"}:
            raise CommandError(
                "What has its place is as it was, but entries wait for theirs: see above."
            )
        if checks:
            raise CommandError(f"{len(checks)} findings: the log is not what it was.")

    def _print(self, report: Report) -> None:
        name = name_of(report.workspace_id)
        result = "clean" if report.clean else f"{len(report.findings)} findings"
        self.stdout.write(
            f"{name}: {result}; {report.entries} entries placed, {report.unplaced} waiting,"
            f" {report.payloads} payloads, root {report.root.hex()[:16]}"
        )
        for finding in report.findings[:50]:
            where = "" if finding.position is None else f" position {finding.position}"
            entry = "" if finding.entry_id is None else f" entry {finding.entry_id}"
            self.stdout.write(f"  [{finding.check}]{where}{entry}: {finding.sentence}")


def _named(text: str) -> UUID:
    try:
        return workspace_named(text)
    except UnknownWorkspace as error:
        raise CommandError(str(error)) from error
