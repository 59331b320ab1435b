"""`manage.py run_replay RUN`: run a run's stored programs again and compare with the journal.

Nothing is called and nothing of the run is changed: no lease is taken, tools answer from the
journal, the one thing written is that somebody replayed it. Exit status 1 where anything differs.
"""

from argparse import ArgumentParser
from uuid import UUID

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from agents import replay
from agents.errors import ToolChanged
from agents.leases import Lease
from agents.models import Run
from agents.replay import Replayed
from agents.sandbox.errors import RuntimeBuildError, SandboxUnavailable
from agents.session import Session, open_session
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace

NO_LEASE = -1
"""An epoch that no run has: whatever tried to write under it would be refused."""


class Command(BaseCommand):
    help = "Replay RUN in a fresh jail with its journaled results; exit status 1 if it differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=UUID, metavar="RUN")

    def handle(self, *args: object, run: UUID, **options: object) -> None:
        try:
            session = open_session(Lease(_workspace_of(run), run, NO_LEASE, "run_replay"))
        except (ToolChanged, RuntimeBuildError) as error:
            raise CommandError(f"The run cannot be replayed here: {error}") from error
        self.stdout.write(f"run {run}: {session.version}, {session.run.state}")
        told = []
        try:
            for each in replay.rehearse(session):
                told.append(each)
                self._print(each)
        except SandboxUnavailable as error:
            raise CommandError(f"No sandbox: {error}") from error
        _record(session, told)
        if any(each.divergence for each in told):
            raise CommandError("The replay differs from the journal.")
        self.stdout.write(f"The replay matches the journal: {_matched(told)} steps.")

    def _print(self, each: Replayed) -> None:
        if each.divergence is None:
            said = f"matches: {each.matched}" if each.matched else f"not replayed: {each.skipped}"
            self.stdout.write(f"step {each.step}  {said}")
            return
        where = "" if each.divergence.call is None else f" of call {each.divergence.call + 1}"
        self.stdout.write(f"step {each.step}  DIFFERS: {each.divergence.what}{where}")
        self.stdout.write(f"  recorded: {each.divergence.recorded}")
        self.stdout.write(f"  replayed: {each.divergence.replayed}")


def _workspace_of(run_id: UUID) -> UUID:
    workspaces = apps.get_model("accounts", "Workspace")._default_manager.all()
    for workspace_id in workspaces.values_list("id", flat=True):
        with in_workspace(workspace_id):
            if Run.objects.filter(id=run_id).exists():
                return UUID(str(workspace_id))
    raise CommandError(f"There is no run {run_id}.")


def _matched(told: list[Replayed]) -> int:
    return sum(bool(each.matched) for each in told)


def _record(session: Session, told: list[Replayed]) -> None:
    """Outside of the run's own chain, which its worker or its end has closed to us."""
    differs = [each.divergence for each in told if each.divergence]
    sides = {"recorded": differs[0].recorded, "replayed": differs[0].replayed} if differs else {}
    where = {"step": differs[0].step, "what": differs[0].what} if differs else {}
    draft = Draft(
        action="run.replayed",
        actor=Actor("system", "command-line", "command line"),
        subject=Subject("run", str(session.run.id)),
        detail={"matches": not differs, "steps": _matched(told), **where},
        payloads=dict(sides),
        data_subject=f"run:{session.run.id}",
    )
    with in_workspace(session.lease.workspace_id):
        record(session.lease.workspace_id, [draft])
