"""Rules of countersigning. Pure: no Django models, no clock, no I/O.

Guarantees, given true views of request, voters and time:

* a signature covers one digest of everything that will be executed and of the terms under which
  it was asked for; a changed byte is another digest;
* nobody signs what they asked for, wrote, edited, or had asked for by an account they control;
* one person fills one seat, however many roles they hold;
* only votes of people who may *still* sign count, at completion and again at use;
* where a request asks for a factor beside the password, a vote without it does not count.

Does not guarantee: that the displayed content is true, or that two people are not one person with
two accounts; the first is the caller's part, the second is governed where accounts are made.

Order at use (``may_use``): (1) state, (2) execute-by, (3) the binding derived again,
(4) the votes' own binding, (5) policy version, (6) quorum of people who may still sign.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from audit import canonical
from audit.canonical import JSON
from audit.errors import CanonicalError
from policies.errors import InvalidRequest, Reason, Refusal

VERSION = 1
MAX_SEATS = 12
"""More signatures than this is a mistake in a policy, not a policy."""

OPEN = frozenset({"waiting", "info_requested"})

PASSWORD, TOTP = "password", "totp"
"""What a person gives when answering. Each answer takes the password."""


@dataclass(frozen=True)
class Seat:
    """``count`` different people who hold ``role``."""

    role: str
    count: int


@dataclass(frozen=True)
class Terms:
    """What a request fixes beside the caller's binding; all of it is covered by the digest.

    ``requester``: "user:<uuid>" or "service:<uuid>". ``displayed``: hash of what the card shows.
    ``factor``: what signing needs beside the password, or "".
    """

    kind: str
    workspace: str
    run: str
    step: int
    requester: str
    barred: tuple[str, ...]
    requirement: tuple[Seat, ...]
    policy_version: str
    displayed: str
    sign_by: datetime
    execute_by: datetime
    factor: str = ""


@dataclass(frozen=True)
class Standing:
    """A request as the rules see it.

    ``barred``: authors, editors, and people who control the requesting account.
    """

    state: str
    requester_id: str
    barred: frozenset[str]
    requirement: tuple[Seat, ...]
    sign_by: datetime
    execute_by: datetime
    binding_digest: str
    policy_version: str
    voted: frozenset[str] = frozenset()
    factor: str = ""


@dataclass(frozen=True)
class Voter:
    """Someone who wants to vote or has voted; ``roles`` as held now in the request's workspace."""

    id: str
    is_person: bool
    roles: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """A vote that signs: who, as they stand now, the digest they signed, and what they gave."""

    voter: Voter
    binding_digest: str
    factors: frozenset[str] = frozenset({PASSWORD})


def parse_requirement(value: JSON) -> tuple[Seat, ...]:
    """Read ``[{"role": str, "count": int}, …]``.

    Raises:
        InvalidRequest: empty, malformed, or beyond `MAX_SEATS`. A requirement that nobody has to
            meet would let everything through.
    """
    if not isinstance(value, list | tuple) or not value:
        raise InvalidRequest("A request must require at least one signature.")
    seats = tuple(_seat(item) for item in value)
    if len({seat.role for seat in seats}) != len(seats):
        raise InvalidRequest("A requirement names each role once.")
    if sum(seat.count for seat in seats) > MAX_SEATS:
        raise InvalidRequest(f"A requirement asks for at most {MAX_SEATS} signatures.")
    return seats


def folded(counts: Mapping[str, int]) -> dict[str, int]:
    """How many of each role must sign, in order of role.

    The role `reviewer` stands for a reviewer of any group, so seats of named groups count for it.
    Fold once, what all rules together ask for: folded requirements do not add up.
    """
    seats = dict(sorted(counts.items()))
    if "reviewer" in seats:
        named = sum(count for role, count in seats.items() if role.startswith("reviewer:"))
        seats["reviewer"] = max(0, seats["reviewer"] - named)
    return {role: count for role, count in seats.items() if count}


def requirement_json(seats: Sequence[Seat]) -> list[dict[str, Any]]:
    return [{"role": seat.role, "count": seat.count} for seat in seats]


def bind(binding: Mapping[str, JSON], terms: Terms) -> str:
    """The digest a signature covers: SHA-256 hex over RFC 8785 of binding and terms.

    Raises:
        InvalidRequest: the binding is empty or has no canonical form (the caller's fault).
    """
    if not binding:
        raise InvalidRequest("A request binds something; the binding is empty.")
    whole = {"v": VERSION, "binding": dict(binding), "terms": _terms_json(terms)}
    try:
        return canonical.digest(whole)
    except CanonicalError as error:
        raise InvalidRequest(f"The binding cannot be hashed: {error}") from error


def may_sign(request: Standing, voter: Voter, now: datetime) -> Refusal | None:
    """Why ``voter`` may not vote now, or None. The first reason that holds is given."""
    if request.state not in OPEN:
        return Refusal(Reason.STATE, _STATES.get(request.state, "This request is closed."))
    if now > request.sign_by:
        return Refusal(Reason.SIGN_BY, "The time to sign has passed.")
    if voter.id in request.voted:
        return Refusal(Reason.ALREADY_VOTED, "You have already answered; one person answers once.")
    return may_count(request, voter)


def may_count(request: Standing, voter: Voter) -> Refusal | None:
    """Why a vote of this person cannot count, whatever the state of the request."""
    if not voter.is_person:
        return Refusal(Reason.NOT_A_PERSON, "Only a person can sign; this account is a program's.")
    if voter.id == request.requester_id:
        return Refusal(Reason.REQUESTER, "You asked for this; someone else must sign.")
    if voter.id in request.barred:
        return Refusal(
            Reason.BARRED,
            "You wrote or edited a part of this, or control the account that asked for it; "
            "someone else must sign.",
        )
    wanted = [seat.role for seat in request.requirement]
    if not voter.roles.intersection(wanted):
        return Refusal(Reason.ROLE, f"Signing this needs the role {' or '.join(wanted)}.")
    return None


def seats_filled(requirement: Sequence[Seat], roles: Sequence[Collection[str]]) -> int:
    """How many seats these people fill when each sits on one at most.

    ``roles`` holds one collection per person. A bipartite matching: taking seats greedily would
    let the order of votes decide whether a quorum is reached.
    """
    seats = [seat.role for seat in requirement for _ in range(seat.count)]
    taken: dict[int, int] = {}

    def place(person: int, tried: set[int]) -> bool:
        for index, role in enumerate(seats):
            if role not in roles[person] or index in tried:
                continue
            tried.add(index)
            if index not in taken or place(taken[index], tried):
                taken[index] = person
                return True
        return False

    return sum(place(person, set()) for person in range(len(roles)))


def unfillable(requirement: Sequence[Seat], roles: Sequence[Collection[str]]) -> int:
    """How many seats stay empty even if all these people sign, one collection of roles each."""
    return needed(requirement) - seats_filled(requirement, roles)


def needed(requirement: Sequence[Seat]) -> int:
    """How many signatures complete the requirement."""
    return sum(seat.count for seat in requirement)


def counted(request: Standing, signatures: Sequence[Signature]) -> list[Signature]:
    """The signatures that count now: on this digest, one per person, by people who may sign.

    One without the factor that the request asks for is none.
    """
    found: dict[str, Signature] = {}
    for signature in signatures:
        same = signature.binding_digest == request.binding_digest
        whole = same and has_factor(request, signature.factors)
        if whole and may_count(request, signature.voter) is None:
            found.setdefault(signature.voter.id, signature)
    return list(found.values())


def is_complete(request: Standing, signatures: Sequence[Signature]) -> bool:
    """Whether every seat is filled by the signatures that count now."""
    roles = [signature.voter.roles for signature in counted(request, signatures)]
    return seats_filled(request.requirement, roles) >= max(needed(request.requirement), 1)


def may_use(
    request: Standing,
    signatures: Sequence[Signature],
    *,
    digest: str,
    active_policy: str,
    now: datetime,
) -> Refusal | None:
    """Why the completed approval may not be used now, or None.

    ``digest``: derived again by the caller from what is about to be executed.
    """
    if request.state != "approved":  # (1)
        return Refusal(Reason.STATE, _STATES.get(request.state, "Nobody has signed this yet."))
    if now > request.execute_by:  # (2)
        return Refusal(Reason.EXECUTE_BY, "The time to execute has passed.")
    if digest != request.binding_digest:  # (3)
        return Refusal(Reason.BINDING, "What would run is not what was signed.")
    if any(signature.binding_digest != digest for signature in signatures):  # (4)
        return Refusal(Reason.BINDING, "A signature was given for something else.")
    if active_policy != request.policy_version:  # (5)
        return Refusal(Reason.POLICY_CHANGED, "The policy has changed since this was signed.")
    if not is_complete(request, signatures):  # (6)
        return Refusal(
            Reason.VOTER_INELIGIBLE, "Someone who signed has lost the right to; sign again."
        )
    return None


def has_factor(request: Standing, given: Collection[str]) -> bool:
    """Whether a signature with these factors has the one that the request asks for."""
    return not request.factor or request.factor in given


def is_fresh(reauthenticated_at: datetime, now: datetime, within: timedelta) -> bool:
    """Whether the password was given recently enough, and not in the future."""
    return timedelta(0) <= now - reauthenticated_at <= within


_STATES = {
    "waiting": "Not enough people have signed yet.",
    "info_requested": "A reviewer has asked a question that is not answered yet.",
    "approved": "This is already signed by enough people.",
    "rejected": "This was rejected.",
    "expired": "This expired before it was used.",
    "superseded": "A newer request has taken the place of this one.",
    "cancelled": "This was cancelled.",
}


def _seat(item: JSON) -> Seat:
    role, count = (
        (item.get("role"), item.get("count")) if isinstance(item, Mapping) else (None, None)
    )
    if not isinstance(role, str) or not role or type(count) is not int or count < 1:
        raise InvalidRequest(f"Not a role with a count of at least one: {item!r}.")
    return Seat(role, count)


def _terms_json(terms: Terms) -> dict[str, JSON]:
    # Absent rather than empty: requests of before there was a factor keep their digest.
    factor = {"factor": terms.factor} if terms.factor else {}
    return {
        **factor,
        "kind": terms.kind,
        "workspace": terms.workspace,
        "run": terms.run,
        "step": terms.step,
        "requester": terms.requester,
        "barred": sorted(terms.barred),
        "requirement": requirement_json(terms.requirement),
        "policy_version": terms.policy_version,
        "displayed": terms.displayed,
        "sign_by": _instant(terms.sign_by),
        "execute_by": _instant(terms.execute_by),
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
