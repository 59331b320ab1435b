"""`manage.py run_replay RUN`: run a run's stored programs again and compare with the journal.

Nothing is called and nothing of the run is changed: no lease is taken, tools answer from the
journal, the one thing written is that somebody replayed it. With `--bundle FILE` everything comes
from an exported bundle, and there need not be a database; nothing is written then. The bundle's own
proofs are `countersign_verify`'s to check, with a key that did not come along.

Exit status: 0 it matches, 1 it differs (both sides are shown), 2 the command line is wrong, 3 it
cannot be replayed here (no such run, a tool changed, the bundle lacks something), 4 no sandbox.
"""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from agents.errors import Refused, ToolChanged
from agents.models import Run
from agents.replay import bundle as bundles
from agents.replay import restoring
from agents.replay import service as replays
from agents.replay.restoring import Replayed
from agents.sandbox.errors import RuntimeBuildError, SandboxUnavailable
from agents.session import Session, open_session
from agents.worker.leases import Lease
from audit.export.reading import BundleUnreadable
from audit.search import ids_from
from audit.services import Actor
from audit.transactions import in_workspace
from audit.verifier.countersign_verify import printable

DIFFERS, NOT_HERE, NO_SANDBOX = 1, 3, 4


class Command(BaseCommand):
    help = "Replay RUN in a fresh jail with its journaled results; exit status 1 if it differs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "run", metavar="RUN", nargs="?", help="its id, or the first eight digits of it"
        )
        parser.add_argument("--bundle", type=Path, metavar="FILE", help="from an exported bundle")

    def handle(
        self, *args: object, run: str | None, bundle: Path | None, **options: object
    ) -> None:
        try:
            if bundle is not None:
                self._from_bundle(bundle, run)
            elif run is not None:
                self._from_journal(run)
            else:
                raise CommandError("Name a RUN, or a --bundle.", returncode=2)
        except (ToolChanged, RuntimeBuildError, Refused, BundleUnreadable) as error:
            told = f"The run cannot be replayed here: {error}"
            raise CommandError(told, returncode=NOT_HERE) from error
        except SandboxUnavailable as error:
            raise CommandError(f"No sandbox: {error}", returncode=NO_SANDBOX) from error

    def _from_journal(self, text: str) -> None:
        workspace, run = _named(text)
        session = open_session(Lease(workspace, run, replays.NO_LEASE, "run_replay"))
        self.stdout.write(f"run {run}: {session.version}, {session.run.state}")
        told = self._show(restoring.rehearse(session))
        _record(session, told)
        self._conclude(told, "the journal")

    def _from_bundle(self, bundle: Path, text: str | None) -> None:
        found = bundles.runs(bundle)
        run = bundles.chosen(found, _among(found, text) if text else [])
        self.stdout.write(printable(f"run {run.id} of {bundle.name}: {run.outcome}"))
        self._conclude(self._show(bundles.rehearse(run)), "the bundle")

    def _show(self, replayed: Iterable[Replayed]) -> list[Replayed]:
        told = []
        for each in replayed:
            told.append(each)
            self._print(each)
        return told

    def _conclude(self, told: list[Replayed], what: str) -> None:
        if any(each.divergence for each in told):
            raise CommandError(f"The replay differs from {what}.", returncode=DIFFERS)
        self.stdout.write(f"The replay matches {what}: {_matched(told)} steps.")

    def _print(self, each: Replayed) -> None:
        if each.divergence is None:
            said = f"matches: {each.matched}" if each.matched else f"not replayed: {each.skipped}"
            self.stdout.write(printable(f"step {each.step}  {said}"))
            return
        where = "" if each.divergence.call is None else f" of call {each.divergence.call + 1}"
        # Programs print what they like: it stays on its line, and commands no terminal.
        for line in (
            f"step {each.step}  DIFFERS: {each.divergence.what}{where}",
            f"  recorded: {each.divergence.recorded}",
            f"  replayed: {each.divergence.replayed}",
        ):
            self.stdout.write(printable(line))


def _named(text: str) -> tuple[UUID, UUID]:
    """The workspace and the id of the one run whose id begins so."""
    bounds = _bounds(text)
    found: list[tuple[UUID, UUID]] = []
    workspaces = apps.get_model("accounts", "Workspace")._default_manager.all()
    for workspace_id in workspaces.values_list("id", flat=True):
        with in_workspace(workspace_id):
            runs = Run.objects.filter(id__range=bounds).values_list("id", flat=True)[:2]
            found += [(UUID(str(workspace_id)), run) for run in runs]
    if len(found) != 1:
        many = f"More than one run begins with {text}."
        raise CommandError(many if found else f"There is no run {text}.", returncode=NOT_HERE)
    return found[0]


def _among(found: Iterable[UUID], text: str) -> list[UUID]:
    """The runs of a bundle whose ids begin so; one that none has stands for all of them."""
    first, last = _bounds(text)
    return [each for each in found if first <= each <= last] or [first]


def _bounds(text: str) -> tuple[UUID, UUID]:
    bounds = ids_from(text.strip().lower())
    if bounds is None:
        raise CommandError(
            f"{text} is no id of a run, nor the first eight digits of one.", returncode=2
        )
    return bounds


def _matched(told: list[Replayed]) -> int:
    return sum(bool(each.matched) for each in told)


def _record(session: Session, told: list[Replayed]) -> None:
    with in_workspace(session.lease.workspace_id):
        replays.replayed(session.run, told, Actor("system", "command-line", "command line"))
