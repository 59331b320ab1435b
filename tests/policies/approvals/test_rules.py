"""The pure rules: who may sign, which votes count, what a signature covers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import approvals
from policies.approvals import Seat, Signature, Standing, Terms, Voter, folded
from policies.errors import InvalidRequest, Reason

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FINANCE = "reviewer:finance"
SECURITY = "reviewer:security"
DIGEST = "d" * 64

REQUEST = Standing(
    state="waiting",
    requester_id="alice",
    barred=frozenset({"author"}),
    requirement=(Seat(FINANCE, 2),),
    sign_by=NOW + timedelta(hours=1),
    execute_by=NOW + timedelta(hours=2),
    binding_digest=DIGEST,
    policy_version="v1",
)
TERMS = Terms(
    kind="manifest",
    workspace="w",
    run="r",
    step=3,
    requester="user:alice",
    barred=("author",),
    requirement=(Seat(FINANCE, 2),),
    policy_version="v1",
    displayed="e" * 64,
    sign_by=NOW,
    execute_by=NOW + timedelta(hours=1),
)
BINDING = {"code": "a" * 64, "manifest": "b" * 64}


def person(name: str, *roles: str) -> Voter:
    return Voter(name, is_person=True, roles=frozenset(roles))


def signed(name: str, *roles: str, digest: str = DIGEST) -> Signature:
    return Signature(person(name, *roles), digest)


@pytest.mark.parametrize(
    ("request_", "voter", "reason"),
    [
        (REQUEST, Voter("robot", False, frozenset({FINANCE})), Reason.NOT_A_PERSON),
        (REQUEST, person("alice", FINANCE), Reason.REQUESTER),
        (REQUEST, person("author", FINANCE), Reason.BARRED),
        (REQUEST, person("dan", "auditor", "admin"), Reason.ROLE),
        (REQUEST, person("nobody"), Reason.ROLE),
        (replace(REQUEST, voted=frozenset({"bob"})), person("bob", FINANCE), Reason.ALREADY_VOTED),
        (replace(REQUEST, sign_by=NOW - timedelta(1)), person("bob", FINANCE), Reason.SIGN_BY),
        *[
            (replace(REQUEST, state=state), person("bob", FINANCE), Reason.STATE)
            for state in ("approved", "rejected", "expired", "superseded", "cancelled", "nonsense")
        ],
    ],
)
def test_who_may_not_sign_is_told_why(request_: Standing, voter: Voter, reason: Reason) -> None:
    refusal = approvals.may_sign(request_, voter, NOW)
    assert refusal is not None
    assert refusal.reason is reason
    assert refusal.sentence.endswith((".", "once."))


def test_a_reviewer_may_sign_also_while_a_question_is_open() -> None:
    assert approvals.may_sign(REQUEST, person("bob", FINANCE), NOW) is None
    asked = replace(REQUEST, state="info_requested")
    assert approvals.may_sign(asked, person("bob", FINANCE), NOW) is None


def test_one_person_fills_one_seat_whatever_roles_they_hold() -> None:
    both = replace(REQUEST, requirement=(Seat(FINANCE, 1), Seat(SECURITY, 1)))
    alone = [signed("rita", FINANCE, SECURITY)]
    assert not approvals.is_complete(both, alone)
    assert not approvals.is_complete(both, alone * 2)
    assert approvals.is_complete(both, [*alone, signed("bob", FINANCE)])


def test_the_order_of_votes_does_not_decide() -> None:
    # Rita, who could sit on either seat, must not block the one seat Bob can take.
    both = replace(REQUEST, requirement=(Seat(FINANCE, 1), Seat(SECURITY, 1)))
    votes = [signed("rita", FINANCE, SECURITY), signed("bob", FINANCE)]
    assert approvals.is_complete(both, votes)
    assert approvals.is_complete(both, votes[::-1])


def test_two_people_of_one_group_do_not_stand_for_another() -> None:
    both = replace(REQUEST, requirement=(Seat(FINANCE, 1), Seat(SECURITY, 1)))
    assert not approvals.is_complete(both, [signed("bob", FINANCE), signed("beth", FINANCE)])


@pytest.mark.parametrize(
    "spoiled",
    [
        signed("beth"),
        signed("beth", FINANCE, digest="0" * 64),
        signed("alice", FINANCE),
        signed("author", FINANCE),
        signed("bob", FINANCE),
        Signature(Voter("robot", False, frozenset({FINANCE})), DIGEST),
    ],
)
def test_a_vote_that_does_not_count_completes_nothing(spoiled: Signature) -> None:
    assert not approvals.is_complete(REQUEST, [signed("bob", FINANCE), spoiled])


def test_an_empty_requirement_is_not_met_by_nobody() -> None:
    assert not approvals.is_complete(replace(REQUEST, requirement=()), [])


@pytest.mark.parametrize(
    "requirement",
    [
        [],
        None,
        "reviewer:finance",
        [{}],
        [{"role": FINANCE}],
        [{"role": "", "count": 1}],
        [{"role": FINANCE, "count": 0}],
        [{"role": FINANCE, "count": -1}],
        [{"role": FINANCE, "count": 1.0}],
        [{"role": FINANCE, "count": True}],
        [{"role": FINANCE, "count": 13}],
        [{"role": FINANCE, "count": 1}, {"role": FINANCE, "count": 1}],
    ],
)
def test_a_requirement_that_asks_nobody_is_refused(requirement: Any) -> None:
    with pytest.raises(InvalidRequest):
        approvals.parse_requirement(requirement)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 2), min_size=1, max_size=2),
    people=st.lists(st.frozensets(st.sampled_from(["r0", "r1", "r2"])), max_size=4),
)
def test_seats_are_filled_as_well_as_they_can_be(
    counts: list[int], people: list[frozenset[str]]
) -> None:
    requirement = [Seat(f"r{index}", count) for index, count in enumerate(counts)]
    seats = [seat.role for seat in requirement for _ in range(seat.count)]
    padded = [*people, *[frozenset[str]()] * len(seats)]
    best = max(
        sum(role in holder for role, holder in zip(seats, chosen, strict=True))
        for chosen in permutations(padded, len(seats))
    )
    assert approvals.seats_filled(requirement, people) == best


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "code"},
        {"workspace": "x"},
        {"run": "x"},
        {"step": 4},
        {"requester": "user:bob"},
        {"barred": ()},
        {"requirement": (Seat(FINANCE, 1),)},
        {"policy_version": "v2"},
        {"displayed": "f" * 64},
        {"sign_by": NOW + timedelta(microseconds=1)},
        {"execute_by": NOW + timedelta(hours=1, microseconds=1)},
    ],
)
def test_every_term_is_covered(change: dict[str, Any]) -> None:
    assert approvals.bind(BINDING, replace(TERMS, **change)) != approvals.bind(BINDING, TERMS)


@pytest.mark.parametrize(
    "binding",
    [
        {**BINDING, "code": "A" * 64},
        {**BINDING, "extra": 1},
        {"code": "a" * 64},
        {"manifest": BINDING["code"], "code": BINDING["manifest"]},
    ],
)
def test_every_byte_of_the_binding_is_covered(binding: dict[str, Any]) -> None:
    assert approvals.bind(binding, TERMS) != approvals.bind(BINDING, TERMS)


def test_the_digest_does_not_depend_on_order_or_time_zone() -> None:
    other = replace(TERMS, sign_by=NOW.astimezone(tz=None))
    assert approvals.bind(dict(reversed(BINDING.items())), other) == approvals.bind(BINDING, TERMS)


@pytest.mark.parametrize("binding", [{}, {"x": float("nan")}, {"x": 2**60}, {"x": object()}])
def test_what_cannot_be_hashed_cannot_be_signed(binding: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        approvals.bind(binding, TERMS)


DONE = replace(REQUEST, state="approved")
VOTES = (signed("bob", FINANCE), signed("beth", FINANCE))


def test_a_signed_request_may_be_used_until_its_clock_runs_out() -> None:
    for moment in (NOW, DONE.execute_by):
        refusal = approvals.may_use(DONE, VOTES, digest=DIGEST, active_policy="v1", now=moment)
        assert refusal is None


@pytest.mark.parametrize(
    ("request_", "votes", "digest", "policy", "now", "reason"),
    [
        (REQUEST, VOTES, DIGEST, "v1", NOW, Reason.STATE),
        (replace(DONE, state="rejected"), VOTES, DIGEST, "v1", NOW, Reason.STATE),
        (DONE, VOTES, DIGEST, "v1", NOW + timedelta(hours=3), Reason.EXECUTE_BY),
        (DONE, VOTES, "0" * 64, "v1", NOW, Reason.BINDING),
        (DONE, (VOTES[0], signed("beth", FINANCE, digest="0")), DIGEST, "v1", NOW, Reason.BINDING),
        (DONE, VOTES, DIGEST, "v2", NOW, Reason.POLICY_CHANGED),
        (DONE, (VOTES[0], signed("beth")), DIGEST, "v1", NOW, Reason.VOTER_INELIGIBLE),
        (DONE, VOTES[:1], DIGEST, "v1", NOW, Reason.VOTER_INELIGIBLE),
        (DONE, (), DIGEST, "v1", NOW, Reason.VOTER_INELIGIBLE),
    ],
)
def test_what_no_longer_stands_is_not_used(
    request_: Standing,
    votes: tuple[Signature, ...],
    digest: str,
    policy: str,
    now: datetime,
    reason: Reason,
) -> None:
    refusal = approvals.may_use(request_, votes, digest=digest, active_policy=policy, now=now)
    assert refusal is not None
    assert refusal.reason is reason


@pytest.mark.parametrize(
    ("given_at", "fresh"),
    [(0, True), (-300, True), (-301, False), (1, False)],
)
def test_a_password_counts_for_five_minutes_and_never_from_the_future(
    given_at: int, fresh: bool
) -> None:
    moment = NOW + timedelta(seconds=given_at)
    assert approvals.is_fresh(moment, NOW, timedelta(minutes=5)) is fresh


def test_seats_of_a_named_group_are_seats_of_reviewers() -> None:
    assert folded({"reviewer:finance": 2, "reviewer": 2}) == {"reviewer:finance": 2}
    assert folded({"reviewer:finance": 2, "reviewer": 3}) == {"reviewer": 1, "reviewer:finance": 2}
    assert folded({"policy_officer": 1, "reviewer": 1}) == {"policy_officer": 1, "reviewer": 1}
