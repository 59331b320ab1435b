"""A request with its votes and people, read from the database as the rules want to see them.

Runs inside the caller's ``in_workspace`` block; roles are read now, never remembered.
"""

from datetime import datetime
from uuid import UUID

from policies import approvals
from policies.directory import Directory, Person
from policies.models import OPEN_STATES, Answer, ApprovalRequest, EventKind, Vote

SERVICE = "service"
USER = "user"
GROUP = "reviewer:"
"""What the roles of reviewers' groups begin with."""


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
        factor=request.factor,
    )


def standing(request: ApprovalRequest, people: Directory) -> approvals.Standing:
    """The request as it stands now, editors and controllers of the asking account barred."""
    return approvals.Standing(
        state=request.state,
        requester_id=request.requester_id,
        barred=frozenset(request.barred) | editors(request) | _controllers(request, people),
        requirement=approvals.parse_requirement(request.requirement),
        sign_by=request.sign_by,
        execute_by=request.execute_by,
        binding_digest=request.binding_digest,
        policy_version=str(request.policy_version_id),
        factor=request.factor,
        voted=frozenset(str(vote.user_id) for vote in request.votes.all()),
    )


def editors(request: ApprovalRequest) -> frozenset[str]:
    """Ids of everyone who edited what was to be signed."""
    events = [event for event in request.events.all() if event.kind == EventKind.EDITED]
    return frozenset(str(event.user_id) for event in events if event.user_id)


def voter(user_id: str, workspace_id: UUID, people: Directory) -> approvals.Voter:
    """Anyone who claims to vote, with the roles held at this moment.

    The id is the directory's, not the caller's: rules compare text, and an id has many spellings.
    """
    person = people.person(user_id)
    if person is None:
        return approvals.Voter(user_id, is_person=False, roles=frozenset())
    return approvals.Voter(person.id, True, people.roles(person.id, workspace_id))


def signatures(request: ApprovalRequest, people: Directory) -> list[approvals.Signature]:
    """Every vote that signs, with its voter as of now."""
    return [
        _signature(request, vote, people)
        for vote in request.votes.all()
        if vote.answer == Answer.SIGN
    ]


def counts(request: ApprovalRequest, vote: Vote, people: Directory) -> bool:
    """Whether this vote signs and would count if the request were completed now."""
    if vote.answer != Answer.SIGN:
        return False
    view = standing(request, people)
    return bool(approvals.counted(view, [_signature(request, vote, people)]))


def eligible(request: ApprovalRequest, people: Directory, now: datetime) -> list[Person]:
    """Everyone who may sign this request now, by name."""
    view = standing(request, people)
    holders = {
        person.id: person
        for seat in view.requirement
        for person in people.members_with_role(request.workspace_id, seat.role)
    }
    able = [
        person
        for person in holders.values()
        if approvals.may_sign(view, voter(person.id, request.workspace_id, people), now) is None
    ]
    return sorted(able, key=lambda person: (person.name, person.id))


def missing(request: ApprovalRequest, people: Directory, now: datetime) -> int:
    """How many signatures nobody is left to give, even if everyone who may signs."""
    view = standing(request, people)
    signed = [each.voter.roles for each in approvals.counted(view, signatures(request, people))]
    able = [
        people.roles(person.id, request.workspace_id) for person in eligible(request, people, now)
    ]
    return approvals.unfillable(view.requirement, [*signed, *able])


def takes_part(request: ApprovalRequest, viewer: approvals.Voter, now: datetime) -> bool:
    """Whether this person is a reviewer of an open request, and may ask about it or edit it."""
    wanted = {seat.role for seat in approvals.parse_requirement(request.requirement)}
    live = request.state in OPEN_STATES and now <= request.sign_by
    return live and viewer.is_person and bool(viewer.roles & wanted)


def eligible_of(
    request: ApprovalRequest, role: str, people: Directory, now: datetime
) -> list[Person]:
    """Those of a role who may sign this request now; the role alone lets nobody sign."""
    able = eligible(request, people, now)
    return [person for person in able if role in people.roles(person.id, request.workspace_id)]


def groups(request: ApprovalRequest, people: Directory, now: datetime) -> dict[str, list[Person]]:
    """Reviewers' groups of which somebody may sign now, each with those people."""
    found: dict[str, list[Person]] = {}
    for person in eligible(request, people, now):
        for role in people.roles(person.id, request.workspace_id):
            if role.startswith(GROUP):
                found.setdefault(role, []).append(person)
    return dict(sorted(found.items()))


def _signature(request: ApprovalRequest, vote: Vote, people: Directory) -> approvals.Signature:
    person = voter(str(vote.user_id), request.workspace_id, people)
    return approvals.Signature(person, vote.binding_digest, frozenset(vote.factors))


def _controllers(request: ApprovalRequest, people: Directory) -> frozenset[str]:
    if request.requester_type != SERVICE:
        return frozenset()
    return people.behind(request.requester_id)
