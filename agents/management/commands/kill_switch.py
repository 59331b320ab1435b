"""`manage.py kill_switch`: stop everything, or a part of it, from the host; list; lift.

The only door to a switch for everything. It names people by their e-mail address and believes who
runs it: whoever has the host could stop the service as well. What they do is recorded.
"""

from argparse import ArgumentParser
from uuid import UUID

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from agents.errors import NotFound
from agents.kill_switches.service import kill_lift, kill_set
from agents.models import KillScope, KillSwitch
from audit.errors import UnknownPerson
from audit.naming import person_named
from audit.services import Actor
from audit.transactions import in_workspace
from audit.verifier.countersign_verify import printable
from policies.errors import Refusal


class Command(BaseCommand):
    help = "Set, list or lift kill switches; without --workspace those for everything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        setting = acts.add_parser("set")
        setting.add_argument("scope", choices=KillScope.values)
        setting.add_argument("subject", nargs="?", default="")
        lifting = acts.add_parser("lift")
        lifting.add_argument("switch", type=UUID)
        for act in (setting, lifting):
            act.add_argument("--reason", required=True)
            act.add_argument("--as", required=True, dest="person", metavar="EMAIL")
        for act in (setting, lifting, acts.add_parser("list")):
            act.add_argument("--workspace", metavar="SLUG")

    def handle(self, *args: object, act: str, **options: str) -> None:
        workspace_id = _workspace(options["workspace"])
        if act == "list":
            self._list(workspace_id)
            return
        try:
            if act == "set":
                self._set(workspace_id, options)
            else:
                self._lift(workspace_id, options)
        except NotFound as error:
            raise CommandError(str(error)) from error

    def _list(self, workspace_id: UUID | None) -> None:
        with in_workspace(workspace_id):
            for switch in KillSwitch.objects.filter(lifted_at__isnull=True):
                asked = switch.lift_asked_by_name
                waits = f" (lifting asked by {asked})" if asked else ""
                self.stdout.write(printable(f"{switch.id}  {switch.sentence}{waits}"))

    def _set(self, workspace_id: UUID | None, options: dict[str, str]) -> None:
        made = kill_set(
            workspace_id=workspace_id,
            scope=KillScope(options["scope"]),
            subject=options["subject"],
            reason=options["reason"],
            actor=_person(options["person"]),
        )
        if isinstance(made, Refusal):
            raise CommandError(made.sentence)
        self.stdout.write(f"{made.id}  {made.sentence}")

    def _lift(self, workspace_id: UUID | None, options: dict[str, str]) -> None:
        done = kill_lift(
            workspace_id=workspace_id,
            switch_id=UUID(str(options["switch"])),
            reason=options["reason"],
            actor=_person(options["person"]),
        )
        if isinstance(done, Refusal):
            raise CommandError(done.sentence)
        self.stdout.write("Lifted." if done.lifted else "Asked for; another person has to lift it.")


def _workspace(slug: str | None) -> UUID | None:
    if slug is None:
        return None
    found = apps.get_model("accounts", "Workspace")._default_manager.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no workspace {slug!r}.")
    return UUID(str(found.pk))


def _person(email: str) -> Actor:
    try:
        return person_named(email)
    except UnknownPerson as error:
        raise CommandError(str(error)) from error
