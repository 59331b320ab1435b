"""Requests that cannot be completed by those who are left to sign."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage

from policies import approvals, selectors, tasks
from policies.approvals import Seat
from policies.models import ApprovalRequest
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import ask, vote


def finance(count: int) -> Sequence[Mapping[str, Any]]:
    return [{"role": "reviewer:finance", "count": count}]


def detail(cast: Cast, request: ApprovalRequest, who: str = "bob") -> selectors.RequestDetail:
    found = selectors.request_detail(
        cast.acme.id, request.id, str(cast.id(who)), NOW + timedelta(minutes=1)
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("people", "missing"),
    [
        ([{"a"}, {"a"}, {"b"}], 0),
        ([{"a", "b"}, {"a"}], 1),
        ([{"a", "b"}], 2),
        ([{"c"}, {"c"}, {"c"}], 3),
        ([], 3),
    ],
)
def test_a_seat_without_anyone_for_it_is_counted(people: list[set[str]], missing: int) -> None:
    assert approvals.unfillable((Seat("a", 2), Seat("b", 1)), people) == missing


def test_enough_people_and_nothing_is_missing(cast: Cast) -> None:
    request = ask(cast)
    assert detail(cast, request).missing == 0
    vote(cast, request, "bob")
    assert detail(cast, request).missing == 0


def test_who_wrote_a_part_of_it_is_nobody_who_could_sign(cast: Cast) -> None:
    barred = [str(cast.id(name)) for name in ("bob", "beth")]
    assert detail(cast, ask(cast, barred=barred)).missing == 1


def test_a_signature_that_was_given_fills_its_seat(cast: Cast) -> None:
    request = ask(cast, requirement=finance(4))
    assert detail(cast, request).missing == 1
    for name in ("bob", "beth", "rita"):
        vote(cast, request, name)
    assert detail(cast, request).missing == 1


def test_those_who_appoint_are_told_without_personal_data(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    request = ask(cast, requirement=finance(4))
    for _ in range(2):
        tasks.notify_reviewers(str(cast.acme.id), str(request.id))
    told = [mail for mail in mailoutbox if mail.subject.startswith("Too few reviewers: ")]
    people = last(cast.acme.id, "approval.stranded")["detail"]["people"]
    assert len(told) == len(people) == len({mail.to[0] for mail in told})
    assert {str(cast.id("carol")), str(cast.id("chris"))} <= set(people)
    assert "Appoint reviewers" in told[0].body
    for private in ("1,200", "Alice", "@example"):
        assert private not in f"{told[0].subject}{told[0].body}"


def test_nobody_is_told_where_enough_may_sign(cast: Cast) -> None:
    tasks.notify_reviewers(str(cast.acme.id), str(ask(cast).id))
    assert "approval.stranded" not in actions(cast.acme.id)


@pytest.mark.parametrize(
    ("who", "takes_part", "hands_on"),
    [("bob", True, True), ("beth", True, False), ("carol", False, False), ("alice", False, False)],
)
def test_what_is_offered_is_what_would_be_done(
    cast: Cast, who: str, takes_part: bool, hands_on: bool
) -> None:
    request = ask(cast, barred=[str(cast.id("beth"))])
    found = detail(cast, request, who)
    assert (found.takes_part, found.hands_on) == (takes_part, hands_on)


def test_nothing_is_offered_of_what_is_over(cast: Cast) -> None:
    request = ask(cast)
    for name in ("bob", "beth"):
        vote(cast, request, name)
    found = detail(cast, request, "rita")
    assert (found.takes_part, found.hands_on, found.missing) == (False, False, 0)
