"""Taking away the authenticator of someone who has lost it, and the recovery codes too.

As with roles: an administrator proposes, never for themselves, and someone else signs. What is
signed names the one authenticator; if it is no longer in force by then, the request is taken out
of force. The person then sets up another one, with their password, which nobody who signed knows.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts.models import Factor, User
from countersign.accounts.services.code import in_force
from countersign.accounts.services.factor import factor_drop
from countersign.accounts.services.member import is_self, membership_of, not_admin
from countersign.accounts.services.notice import About, tell
from policies.errors import Reason, Refusal
from policies.facts.record import ToolSpec
from policies.models import ApprovalRequest
from policies.services import Change, approval_consume, change_request

CHANGE = "factor.reset"
TIER = 3
_OWN = Refusal(
    Reason.OWN_ROLES, "Nobody has their own authenticator taken away; ask another administrator."
)
_NONE = Refusal(Reason.NOT_ENROLLED, "This person has no authenticator set up.")


def factor_reset_propose(
    *,
    workspace_id: UUID,
    actor: Actor,
    user_id: UUID,
    reason: str,
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> ApprovalRequest | Refusal:
    """Ask that a member's authenticator be taken away.

    ``tools``: those of the workspace, which the active policy may name.

    Raises:
        UnknownAccount: not a member of this workspace.
        PolicyError: the active policy does not fit these tools (the caller's fault).
    """
    with in_workspace(workspace_id):
        user = membership_of(workspace_id, user_id).user
        factor = in_force(user_id)
        refusal = not_admin(workspace_id, actor)
        if refusal is None and is_self(actor, user_id):
            refusal = _OWN
        if refusal is None and not reason.strip():
            refusal = Refusal(Reason.INCOMPLETE, "Say why, and how you know it is that person.")
        if refusal is not None or factor is None:
            return _refuse(workspace_id, actor, refusal or _NONE)
        return change_request(
            workspace_id=workspace_id,
            requester=actor,
            change=_change(actor, user, factor, reason.strip()),
            now=now,
            tools=tools,
        )


def apply(*, workspace_id: UUID, request: ApprovalRequest, now: datetime) -> Refusal | None:
    """Take away what was signed, using up its approval; called with the request's row locked."""
    actor = Actor(request.requester_type, request.requester_id, request.requester_name)
    with in_workspace(workspace_id):
        user = User.objects.select_for_update().get(id=UUID(str(request.binding["user"])))
        factor = in_force(user.id)
        if factor is None:
            return _NONE
        used = approval_consume(
            workspace_id=workspace_id,
            request_id=request.id,
            binding=_binding(user, factor),
            consumer="people",
            now=now,
        )
        if isinstance(used, Refusal):
            return used
        factor_drop(user, now)
        detail: dict[str, JSON] = {"request": str(request.id)}
        subject = Subject("user", str(user.id))
        record(workspace_id, [Draft("factor.reset", actor, subject, detail=detail)])
        tell(user, About.RESET, now)
        return None


def _binding(user: User, factor: Factor) -> dict[str, JSON]:
    return {"change": CHANGE, "user": str(user.id), "factor": str(factor.id)}


def _change(actor: Actor, user: User, factor: Factor, reason: str) -> Change:
    confirmed = f"{factor.confirmed:%Y-%m-%d %H:%M} UTC"
    return Change(
        kind="role",
        title=f"{actor.name} wants the authenticator of {user.name} taken away.",
        notice="A reset of a second factor waits for a second person.",
        tier=TIER,
        binding=_binding(user, factor),
        displayed={
            "headline": f"Second factor of {user.name}",
            "changes": [
                {
                    "kind": "person",
                    "name": f"{user.name} ({user.username})",
                    "fields": [
                        {
                            "field": "authenticator",
                            "before": f"set up {confirmed}",
                            "after": "none, until they set one up with their password",
                        },
                        {"field": "reason", "before": "", "after": reason},
                    ],
                }
            ],
        },
        barred=[str(user.id)],
    )


def _refuse(workspace_id: UUID, actor: Actor, refusal: Refusal) -> Refusal:
    detail: dict[str, JSON] = {"reason": refusal.reason.value, "attempt": "reset"}
    subject = Subject("workspace", str(workspace_id))
    record(workspace_id, [Draft("factor.refused", actor, subject, detail=detail)])
    return refusal
