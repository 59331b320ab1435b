"""One person's answer to a request, and the quorum it may complete.

That a code was given where the request asks for one is nothing the caller claims: it is looked up
among the codes that this person has used, and must have been given for this very request.
Rejecting takes the password alone: saying no is never the harder thing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import approvals, standing
from policies.directory import directory
from policies.errors import NotFound, Reason, Refusal
from policies.models import Answer, Approval, ApprovalRequest, ApprovalState, Meaning, Vote
from policies.services.approval import SYSTEM, close, entry, locked

MAX_COMMENT = 4000
REAUTHENTICATED_WITHIN = timedelta(minutes=5)
"""Between giving the password and signing; long enough to read the dialog again."""


@dataclass(frozen=True)
class VoteResult:
    """What became of a vote.

    Attributes:
        refusal: why it was not recorded; None if it was.
        completed: this vote completed the quorum; the approval now exists.
        state: of the request, after the vote. A run that waits for it goes on when it has left
            ``waiting`` and ``info_requested``, even where the vote was refused (expiry).
    """

    refusal: Refusal | None
    vote: Vote | None
    completed: bool
    state: ApprovalState | None


@dataclass(frozen=True)
class _Ballot:
    request: ApprovalRequest
    voter: approvals.Voter
    actor: Actor
    answer: Answer
    meaning: Meaning
    comment: str
    displayed_digest: str
    reauthenticated_at: datetime
    now: datetime


def vote_cast(
    *,
    workspace_id: UUID,
    request_id: UUID,
    voter: Actor,
    answer: Answer,
    meaning: Meaning,
    comment: str,
    displayed_digest: str,
    reauthenticated_at: datetime,
    now: datetime,
) -> VoteResult:
    """Record one answer; complete the request in the same transaction if it is enough.

    ``voter`` is whoever the door authenticated; only people get through. ``displayed_digest`` is
    the hash of what was on the voter's screen. One eligible rejection rejects the request.
    Every refusal leaves a ``vote.refused`` entry, so the caller must commit.
    """
    with in_workspace(workspace_id):
        try:
            request = locked(request_id)
        except NotFound:
            return _unknown(workspace_id, request_id, voter)
        ballot = _Ballot(
            request=request,
            voter=_voter(voter, workspace_id),
            actor=_actor(voter),
            answer=Answer(answer),
            meaning=Meaning(meaning),
            comment=canonical.clean(comment.strip())[:MAX_COMMENT],
            displayed_digest=displayed_digest,
            reauthenticated_at=reauthenticated_at,
            now=now,
        )
        refusal = _refusal(ballot)
        if refusal is not None:
            return _refuse(ballot, refusal)
        return _cast(ballot)


def _voter(actor: Actor, workspace_id: UUID) -> approvals.Voter:
    if actor.type != standing.USER:
        return approvals.Voter(actor.id, is_person=False, roles=frozenset())
    return standing.voter(actor.id, workspace_id, directory())


def _actor(actor: Actor) -> Actor:
    """The name comes from the directory, not from the caller."""
    person = directory().person(actor.id) if actor.type == standing.USER else None
    return actor if person is None else Actor(standing.USER, person.id, person.name)


def _refusal(ballot: _Ballot) -> Refusal | None:
    refusal = approvals.may_sign(
        standing.standing(ballot.request, directory()), ballot.voter, ballot.now
    )
    if refusal is not None:
        return refusal
    if not approvals.is_fresh(ballot.reauthenticated_at, ballot.now, REAUTHENTICATED_WITHIN):
        return Refusal(Reason.REAUTHENTICATE, "Give your password again to sign.")
    if not _has_factor(ballot):
        return _NO_CODE if directory().has_factor(ballot.voter.id) else _NOT_ENROLLED
    if ballot.displayed_digest != ballot.request.displayed_digest:
        return Refusal(
            Reason.DISPLAYED, "What you were shown is not what is to be signed; load it again."
        )
    if ballot.answer is Answer.REJECT and not ballot.comment:
        return Refusal(Reason.INCOMPLETE, "Say why you reject it; the agent is told.")
    return None


def _has_factor(ballot: _Ballot) -> bool:
    if ballot.answer is not Answer.SIGN:
        return True
    view = standing.standing(ballot.request, directory())
    return approvals.has_factor(view, _factors(ballot))


def _factors(ballot: _Ballot) -> list[str]:
    """What this person has given for this answer; not fresh is not given."""
    since = ballot.now - REAUTHENTICATED_WITHIN
    purpose = str(ballot.request.id)
    coded = directory().gave_code(ballot.voter.id, purpose, since)
    return [approvals.PASSWORD, approvals.TOTP] if coded else [approvals.PASSWORD]


_NO_CODE = Refusal(Reason.FACTOR, "Signing this needs a code of your authenticator app as well.")
_NOT_ENROLLED = Refusal(
    Reason.NOT_ENROLLED,
    "Signing this needs a code of an authenticator app, and you have none set up."
    " Set one up under your name, Second factor; then sign.",
)


def _cast(ballot: _Ballot) -> VoteResult:
    request = ballot.request
    vote = Vote.objects.create(
        workspace_id=request.workspace_id,
        request=request,
        user_id=UUID(ballot.voter.id),
        user_name=ballot.actor.name,
        answer=ballot.answer,
        meaning=ballot.meaning,
        comment=ballot.comment,
        binding_digest=request.binding_digest,
        displayed_digest=ballot.displayed_digest,
        reauthenticated_at=ballot.reauthenticated_at,
        factors=_factors(ballot),
        roles=sorted(ballot.voter.roles),
        created=ballot.now,
    )
    entries = [_vote_entry(ballot, vote)]
    if ballot.answer is Answer.REJECT:
        close(request, ApprovalState.REJECTED, ballot.now)
        entries.append(entry(request, "approval.rejected", SYSTEM))
    completed = ballot.answer is Answer.SIGN and _complete(request, ballot.now, entries)
    record(request.workspace_id, entries)
    return VoteResult(None, vote, completed, ApprovalState(request.state))


def _complete(request: ApprovalRequest, now: datetime, entries: list[Draft]) -> bool:
    """Create the approval if the votes that count now fill every seat."""
    signatures = standing.signatures(request, directory())
    view = standing.standing(request, directory())
    if not approvals.is_complete(view, signatures):
        return False
    # The approval first: the database lets a request become "approved" only with one.
    approval = Approval.objects.create(
        workspace_id=request.workspace_id, request=request, completed_at=now
    )
    close(request, ApprovalState.APPROVED, now)
    voters: list[JSON] = [
        {"id": signature.voter.id, "roles": sorted(signature.voter.roles)}
        for signature in approvals.counted(view, signatures)
    ]
    detail = {"approval": str(approval.id), "requirement": request.requirement, "voters": voters}
    entries.append(entry(request, "approval.completed", SYSTEM, detail))
    return True


def _vote_entry(ballot: _Ballot, vote: Vote) -> Draft:
    detail = {
        "answer": vote.answer,
        "meaning": vote.meaning,
        "displayed": vote.displayed_digest,
        "reauthenticated_at": vote.reauthenticated_at.isoformat(),
        "factors": vote.factors,
        "roles": vote.roles,
    }
    payloads = {"comment": vote.comment} if vote.comment else {}
    return entry(ballot.request, "vote.cast", ballot.actor, detail, payloads)


def _refuse(ballot: _Ballot, refusal: Refusal) -> VoteResult:
    request = ballot.request
    detail = {"reason": refusal.reason.value, "answer": ballot.answer.value}
    entries = [entry(request, "vote.refused", ballot.actor, detail)]
    if refusal.reason is Reason.SIGN_BY:
        close(request, ApprovalState.EXPIRED, ballot.now)
        entries.append(entry(request, "approval.expired", SYSTEM))
    record(request.workspace_id, entries)
    return VoteResult(refusal, None, completed=False, state=ApprovalState(request.state))


def _unknown(workspace_id: UUID, request_id: UUID, voter: Actor) -> VoteResult:
    subject = Subject("approval_request", str(request_id))
    detail = {"reason": Reason.NOT_FOUND.value}
    record(workspace_id, [Draft("vote.refused", _actor(voter), subject, detail=detail)])
    refusal = Refusal(Reason.NOT_FOUND, "There is no such request in this workspace.")
    return VoteResult(refusal, None, completed=False, state=None)
