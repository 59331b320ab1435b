"""What doors do with an approval request beside voting: ask, and answer what was asked.

Entries about a run join its chain, so the run's row is locked before the request's.
"""

from datetime import UTC, datetime
from uuid import UUID

from agents.leases import locked
from audit.services import Actor
from audit.transactions import in_workspace
from policies import services as policies
from policies.errors import Refusal
from policies.models import ApprovalRequest


def approval_ask(
    *, workspace_id: UUID, request_id: UUID, asker: Actor, text: str
) -> Refusal | None:
    """Ask whoever made the request; both clocks keep running.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        _lock_run(request_id)
        return policies.approval_ask(
            workspace_id=workspace_id,
            request_id=request_id,
            asker=asker,
            text=text,
            now=datetime.now(UTC),
        )


def approval_inform(
    *, workspace_id: UUID, request_id: UUID, informer: Actor, text: str
) -> Refusal | None:
    """Answer a reviewer's question; any member of the workspace may.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        _lock_run(request_id)
        return policies.approval_inform(
            workspace_id=workspace_id,
            request_id=request_id,
            informer=informer,
            text=text,
            now=datetime.now(UTC),
        )


def _lock_run(request_id: UUID) -> None:
    run_id = ApprovalRequest.objects.filter(id=request_id).values_list("run_id", flat=True).first()
    if run_id is not None:
        locked(run_id)
