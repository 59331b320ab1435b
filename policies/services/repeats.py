"""A proposal that is sent again under its key proposes nothing twice."""

from collections.abc import Callable
from uuid import UUID

from django.db import connection

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor
from audit.transactions import in_workspace
from policies.errors import KeyReused, Refusal
from policies.models import ApprovalRequest, PolicyVersion, ProposalKey

Proposed = ApprovalRequest | PolicyVersion


def propose_once(
    *,
    workspace_id: UUID,
    requester: Actor,
    key: str,
    content: JSON,
    make: Callable[[], Proposed | Refusal | None],
) -> tuple[Proposed | Refusal | None, bool]:
    """What ``make`` proposes, or what it proposed under this key before; and whether it did.

    Keys are the requester's own. A refusal, and a proposal of nothing, keeps no key: what was
    refused may be allowed later. Two at once wait for each other.

    Args:
        key: the caller's name for the proposal; "" never repeats.
        content: all that was sent.

    Raises:
        KeyReused: the key was used for other content.
    """
    if not key:
        return make(), False
    digest = canonical.digest(content)
    with in_workspace(workspace_id):
        _hold(workspace_id, requester, key)
        rows = ProposalKey.objects.select_related("request", "version")
        earlier = rows.filter(requester_id=requester.id, key=key).first()
        if earlier is not None:
            if earlier.content_digest != digest:
                raise KeyReused("This Idempotency-Key was used for another request; use a new one.")
            return earlier.request or earlier.version, True
        made = make()
        if made is not None and not isinstance(made, Refusal):
            is_request = isinstance(made, ApprovalRequest)
            ProposalKey.objects.create(
                workspace_id=workspace_id,
                requester_id=requester.id,
                key=key,
                content_digest=digest,
                request_id=made.id if is_request else None,
                version_id=None if is_request else made.id,
            )
        return made, False


def _hold(workspace_id: UUID, requester: Actor, key: str) -> None:
    name = canonical.digest(["proposal", str(workspace_id), requester.id, key])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
