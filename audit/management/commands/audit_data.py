"""`manage.py audit_data`: erase what the log keeps of somebody, hold it, or let it expire.

The door for a data protection officer's decision, on the host. It names the person who decided
and believes who runs it: entries say that the command line acted, and on whose behalf.

Reaches the payloads of the log alone: neither the tables that runs work with, nor exports that
were made before, nor backups.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit import erasure
from audit.errors import AuditError
from audit.models import Hold, Payload, Retention, SubjectKey
from audit.naming import person_named, workspace_named
from audit.services import Actor
from audit.transactions import in_workspace

COMMAND_LINE = Actor("system", "command-line", "Command line")


class Command(BaseCommand):
    help = "Erase what the log keeps of somebody, hold it, or set how long it is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        erase = acts.add_parser("erase", help="destroy a data subject's payloads, for good")
        erase.add_argument("--basis", required=True, help="why, e.g. 'GDPR Art. 17(1)(b), …'")
        erase.add_argument("--certificate", type=Path, help="file for the certificate")
        hold = acts.add_parser("hold", help="forbid erasure and expiry, of one or of all")
        hold.add_argument("--reason", required=True)
        lift = acts.add_parser("lift", help="end a hold")
        keep = acts.add_parser("keep", help="let payloads expire after so many days")
        show = acts.add_parser("show", help="say what is kept, held, and for how long")
        for act in (erase, hold, lift, keep, show):
            act.add_argument("workspace", help="its name in addresses, or its id")
        erase.add_argument("subject", help="user:ID, run:ID or workspace:ID")
        hold.add_argument("subject", nargs="?", default="", help="without: the whole workspace")
        lift.add_argument("hold", type=UUID)
        keep.add_argument("days", type=int)
        for act in (erase, hold, lift, keep):
            act.add_argument("--as", required=True, dest="person", metavar="EMAIL")

    def handle(self, *args: object, act: str, **options: object) -> None:
        try:
            workspace = workspace_named(str(options["workspace"]))
            if act == "show":
                self._show(workspace)
            else:
                getattr(self, f"_{act}")(workspace, options, person_named(str(options["person"])))
        except AuditError as error:
            raise CommandError(str(error)) from error

    def _erase(self, workspace: UUID, options: dict[str, object], person: Actor) -> None:
        subject, target = str(options["subject"]), options["certificate"]
        with in_workspace(workspace):
            known = SubjectKey.objects.filter(workspace_id=workspace, data_subject=subject).exists()
        if not known:
            raise CommandError(f"nothing is kept under {subject!r}; nothing was changed")
        certificate = erasure.erase_subject(
            workspace,
            subject,
            actor=COMMAND_LINE,
            basis=str(options["basis"]),
            on_behalf_of=person,
        )
        text = json.dumps(certificate.to_json(), indent=1)
        if isinstance(target, Path):
            target.write_text(f"{text}\n")
        self.stdout.write(text)

    def _hold(self, workspace: UUID, options: dict[str, object], person: Actor) -> None:
        hold = erasure.set_hold(
            workspace,
            actor=COMMAND_LINE,
            reason=str(options["reason"]),
            data_subject=str(options["subject"]),
            on_behalf_of=person,
        )
        self.stdout.write(f"{hold.id}  {_covers(hold)}: {hold.reason}")

    def _lift(self, workspace: UUID, options: dict[str, object], person: Actor) -> None:
        hold = UUID(str(options["hold"]))
        if not erasure.lift_hold(workspace, hold, actor=COMMAND_LINE, on_behalf_of=person):
            raise CommandError(f"no hold {hold} stands")
        self.stdout.write("Lifted.")

    def _keep(self, workspace: UUID, options: dict[str, object], person: Actor) -> None:
        days = int(str(options["days"]))
        erasure.set_retention(workspace, days, actor=COMMAND_LINE, on_behalf_of=person)
        self.stdout.write(f"Payloads expire {days} days after they were recorded.")

    def _show(self, workspace: UUID) -> None:
        with in_workspace(workspace):
            retention = Retention.objects.filter(workspace_id=workspace).first()
            holds = list(Hold.objects.filter(workspace_id=workspace, lifted_at=None))
            payloads = Payload.objects.filter(workspace_id=workspace).count()
        days = f"{retention.days} days" if retention else "for ever"
        self.stdout.write(f"{payloads} payloads, kept {days}")
        for hold in holds:
            self.stdout.write(f"{hold.id}  {_covers(hold)}: {hold.reason}")


def _covers(hold: Hold) -> str:
    return f"holds {hold.data_subject or 'everything'}"
