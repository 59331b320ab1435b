"""Verification runs: started from a screen or the clock, with progress, always recorded."""

from contextvars import Context
from datetime import UTC, datetime
from uuid import UUID

from audit.canonical import JSON
from audit.models import Verification
from audit.services import Actor, Draft, Subject, record
from audit.transactions import PLATFORM, in_workspace
from audit.verify import Finding, Report, verify_log

MAX_STORED = 100
"""Findings kept with a run; the number of all is kept beside them."""


def request_verification(workspace_id: UUID | None, actor: Actor) -> Verification:
    """Ask for a verification run; the caller enqueues `audit.tasks.run_verification`."""
    with in_workspace(workspace_id):
        wanted = Verification.objects.create(
            workspace_id=PLATFORM if workspace_id is None else workspace_id,
            requested_by=f"{actor.type}:{actor.id}",
            requester_name=actor.name,
            requested_at=datetime.now(UTC),
        )
        # One that is stopped before it finds something leaves this entry, and none of its end.
        subject = Subject("verification", str(wanted.id))
        record(workspace_id, [Draft("verification.requested", actor, subject)])
        return wanted


def run_verification(workspace_id: UUID | None, verification_id: UUID) -> Report | None:
    """Carry out a requested run; None where there is none waiting under this id."""
    with in_workspace(workspace_id):
        waiting = Verification.objects.filter(id=verification_id, state=Verification.State.WAITING)
        run = waiting.first()
        if run is None or not waiting.update(state=Verification.State.RUNNING):
            return None
    steps = Steps(workspace_id, verification_id)
    report = verify_log(workspace_id, progress=steps)
    steps.finish(report)
    kind, _, identity = run.requested_by.partition(":")
    record_result(report, Actor(kind, identity, run.requester_name))
    return report


class Steps:
    """Writes a run's progress, in transactions of their own.

    The verification reads in one long transaction; an update that joined it would be seen
    only at its end, so each is made in an empty context.
    """

    def __init__(self, workspace_id: UUID | None, verification_id: UUID) -> None:
        self._workspace_id = workspace_id
        self._id = verification_id

    def __call__(self, done: int, total: int) -> None:
        Context().run(self._update, done=done, total=total)

    def finish(self, report: Report) -> None:
        self._update(
            state=Verification.State.DONE,
            done=report.size,
            total=report.size,
            found=len(report.findings),
            findings=[_plain(finding) for finding in report.findings[:MAX_STORED]],
            root=report.root.hex(),
            finished_at=datetime.now(UTC),
        )

    def _update(self, **values: JSON) -> None:
        with in_workspace(self._workspace_id):
            Verification.objects.filter(id=self._id).update(**values)


def record_result(report: Report, actor: Actor) -> None:
    """Leave the entry `log.verified`, whatever the result."""
    detail = {
        "size": report.size,
        "root": report.root.hex(),
        "findings": len(report.findings),
        "result": "clean" if report.clean else "findings",
    }
    workspace = report.workspace_id
    with in_workspace(workspace):
        record(
            workspace,
            [Draft("log.verified", actor, Subject("tree", str(workspace)), detail=detail)],
        )


def _plain(finding: Finding) -> dict[str, JSON]:
    return {
        "check": finding.check,
        "sentence": finding.sentence,
        "position": finding.position,
        "entry": str(finding.entry_id) if finding.entry_id else None,
    }
