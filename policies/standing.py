"""A request with its votes and people, read from the database as the rules want to see them.

Runs inside the caller's ``in_workspace`` block; roles are read now, never remembered.
"""

from uuid import UUID

from policies import approvals
from policies.directory import directory
from policies.models import Answer, ApprovalRequest, EventKind, Vote

SERVICE = "service"
USER = "user"


def terms(request: ApprovalRequest) -> approvals.Terms:
    """The part of the bound digest that this row itself holds."""
    return approvals.Terms(
        kind=request.kind,
        workspace=str(request.workspace_id),
        run=str(request.run_id or ""),
        step=request.step or 0,
        requester=f"{request.requester_type}:{request.requester_id}",
        barred=tuple(request.barred),
        requirement=approvals.parse_requirement(request.requirement),
        policy_version=str(request.policy_version_id),
        displayed=request.displayed_digest,
        sign_by=request.sign_by,
        execute_by=request.execute_by,
    )


def standing(request: ApprovalRequest) -> approvals.Standing:
    """The request as it stands now, editors and controllers of the asking account barred."""
    return approvals.Standing(
        state=request.state,
        requester_id=request.requester_id,
        barred=frozenset(request.barred) | editors(request) | _controllers(request),
        requirement=approvals.parse_requirement(request.requirement),
        sign_by=request.sign_by,
        execute_by=request.execute_by,
        binding_digest=request.binding_digest,
        policy_version=str(request.policy_version_id),
        voted=frozenset(str(vote.user_id) for vote in request.votes.all()),
    )


def editors(request: ApprovalRequest) -> frozenset[str]:
    """Ids of everyone who edited what was to be signed."""
    events = [event for event in request.events.all() if event.kind == EventKind.EDITED]
    return frozenset(str(event.user_id) for event in events if event.user_id)


def voter(user_id: str, workspace_id: UUID) -> approvals.Voter:
    """Anyone who claims to vote, with the roles held at this moment."""
    people = directory()
    is_person = people.person(user_id) is not None
    roles = people.roles(user_id, workspace_id) if is_person else frozenset()
    return approvals.Voter(user_id, is_person, roles)


def signatures(request: ApprovalRequest) -> list[approvals.Signature]:
    """Every vote that signs, with its voter as of now."""
    return [
        approvals.Signature(voter(str(vote.user_id), request.workspace_id), vote.binding_digest)
        for vote in request.votes.all()
        if vote.answer == Answer.SIGN
    ]


def counts(request: ApprovalRequest, vote: Vote) -> bool:
    """Whether this vote signs and would count if the request were completed now."""
    if vote.answer != Answer.SIGN:
        return False
    person = voter(str(vote.user_id), request.workspace_id)
    signature = approvals.Signature(person, vote.binding_digest)
    return bool(approvals.counted(standing(request), [signature]))


def _controllers(request: ApprovalRequest) -> frozenset[str]:
    if request.requester_type != SERVICE:
        return frozenset()
    return directory().behind(request.requester_id)
