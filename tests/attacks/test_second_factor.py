"""Attacks on the second factor: signing without it, guessing it, giving it twice, stealing it."""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from audit.transactions import in_workspace
from countersign.accounts import codes, selectors
from countersign.accounts.models import Factor
from countersign.accounts.services import (
    Unconfirmed,
    factor_begin,
    factor_confirm,
    factor_remove,
    reauthenticate,
)
from countersign.accounts.services.code import FIRST_WAIT, FREE_FAILURES, LONGEST_WAIT
from policies import approvals, standing
from policies.errors import Reason, Refusal
from policies.models import Answer, ApprovalRequest, Vote
from tests.attacks.approval import at_once, execute, forge_vote
from tests.countersign.accounts.authenticator import HOME, STEP, Enrolled, Phone, begin, enrol
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import ONE_FINANCE, ask, consume, state, vote


def who(cast: Cast) -> dict[str, Any]:
    """Bob with his password, as the services of his own account take him."""
    return {"user_id": cast.id("bob"), "password": cast.passwords["bob"], "address": HOME}


def ask_with_code(cast: Cast) -> ApprovalRequest:
    return ask(cast, requirement=ONE_FINANCE, factor="totp")


def give(
    cast: Cast, name: str, code: str, purpose: object, now: datetime = NOW
) -> datetime | Refusal:
    return reauthenticate(
        user_id=cast.id(name),
        password=cast.passwords[name],
        code=code,
        purpose=str(purpose),
        address=HOME,
        now=now,
    )


# Signing.


def test_a_signature_with_its_code_counts_and_says_so(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    assert give(cast, "bob", bob.phone.code(), request.id) == NOW
    signed = vote(cast, request, "bob")
    assert signed.completed
    assert last(cast.acme.id, "vote.cast")["detail"]["factors"] == ["password", "totp"]
    assert last(cast.acme.id, "approval.requested")["detail"]["factor"] == "totp"
    with in_workspace(cast.acme.id):
        assert Vote.objects.get(request=request).factors == ["password", "totp"]
    assert not isinstance(consume(cast, request), Refusal)


def test_the_service_refuses_a_signature_without_a_code(cast: Cast) -> None:
    enrol(cast, "bob")
    request = ask_with_code(cast)
    refused = vote(cast, request, "bob").refusal
    assert refused is not None
    assert refused.reason is Reason.FACTOR
    assert last(cast.acme.id, "vote.refused")["detail"]["reason"] == "factor"
    assert state(cast, request) == "waiting"


def test_whoever_has_no_authenticator_is_told_to_set_one_up_and_may_then_sign(cast: Cast) -> None:
    request = ask_with_code(cast)
    refused = vote(cast, request, "bob").refusal
    assert refused is not None
    assert refused.reason is Reason.NOT_ENROLLED
    phone = enrol(cast, "bob").phone
    give(cast, "bob", phone.code(), request.id)
    assert vote(cast, request, "bob").completed


def test_saying_no_takes_the_password_alone(cast: Cast) -> None:
    request = ask_with_code(cast)
    assert vote(cast, request, "bob", Answer.REJECT, comment="No.").refusal is None
    assert state(cast, request) == "rejected"


def test_a_code_given_for_one_request_signs_no_other(cast: Cast) -> None:
    bob, one, other = enrol(cast, "bob"), ask_with_code(cast), ask_with_code(cast)
    give(cast, "bob", bob.phone.code(), one.id)
    refused = vote(cast, other, "bob").refusal
    assert refused is not None
    assert refused.reason is Reason.FACTOR


def test_the_code_of_another_person_signs_nothing(cast: Cast) -> None:
    bob, beth, request = enrol(cast, "bob"), enrol(cast, "beth"), ask_with_code(cast)
    refused = give(cast, "bob", beth.phone.code(), request.id)
    assert isinstance(refused, Refusal)
    give(cast, "beth", beth.phone.code(), request.id)
    assert vote(cast, request, "bob").refusal is not None
    assert bob.phone.text != beth.phone.text


def test_a_code_given_long_ago_is_not_given(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    give(cast, "bob", bob.phone.code(), request.id)
    later = vote(cast, request, "bob", now=NOW + timedelta(minutes=6)).refusal
    assert later is not None
    assert later.reason is Reason.FACTOR


def test_a_code_of_an_authenticator_taken_away_since_counts_for_nothing(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    give(cast, "bob", bob.phone.code(), request.id)
    given = who(cast)
    assert factor_remove(**given, code=bob.recovery[0], now=NOW) is None
    assert vote(cast, request, "bob").refusal is not None


def test_a_recovery_code_signs_nothing(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    refused = give(cast, "bob", bob.recovery[0], request.id)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_CODE
    row = selectors.factor_of(cast.id("bob"))
    assert row is not None
    assert row.recovery_codes == 10


@pytest.mark.parametrize("factors", ["{password}", "{password,totp}"])
def test_the_database_refuses_a_forged_signature(cast: Cast, factors: str) -> None:
    request = ask_with_code(cast)
    with pytest.raises(IntegrityError, match="without the code"), transaction.atomic():
        forge_vote(request, cast.id("bob"), factors=factors)


def test_what_a_signature_takes_is_part_of_what_is_signed(cast: Cast) -> None:
    plain, coded = ask(cast, run_id=(run := uuid4())), ask(cast, run_id=run, factor="totp")
    assert plain.binding_digest != coded.binding_digest
    assert plain.displayed_digest != coded.displayed_digest
    assert coded.displayed["factor"] == "totp"
    terms = standing.terms(coded)
    bare = approvals.bind(coded.binding, replace(terms, factor=""))
    assert bare != approvals.bind(coded.binding, terms) == coded.binding_digest
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        execute(
            cast.acme.id,
            "UPDATE policies_approvalrequest SET factor = '' WHERE id = %(id)s",
            id=coded.id,
        )


def test_a_vote_without_the_code_does_not_count_at_use_either() -> None:
    voter = approvals.Voter("bob", is_person=True, roles=frozenset({"reviewer:finance"}))
    request = approvals.Standing(
        state="approved",
        requester_id="alice",
        barred=frozenset(),
        requirement=(approvals.Seat("reviewer:finance", 1),),
        sign_by=NOW,
        execute_by=NOW,
        binding_digest="d",
        policy_version="1",
        factor="totp",
    )
    bare = approvals.Signature(voter, "d")
    whole = approvals.Signature(voter, "d", frozenset({"password", "totp"}))
    use: dict[str, Any] = {"digest": "d", "active_policy": "1", "now": NOW}
    refused = approvals.may_use(request, [bare], **use)
    assert refused is not None
    assert refused.reason is Reason.VOTER_INELIGIBLE
    assert approvals.may_use(request, [whole], **use) is None


# Replay.


def test_a_code_is_taken_once(cast: Cast) -> None:
    bob, one, other = enrol(cast, "bob"), ask_with_code(cast), ask_with_code(cast)
    code = bob.phone.code()
    assert give(cast, "bob", code, one.id) == NOW
    again = give(cast, "bob", code, other.id, NOW + timedelta(seconds=5))
    assert isinstance(again, Refusal)
    assert again.reason is Reason.USED_CODE
    assert actions(None)[-1] == "reauthentication.failed"
    assert last(None, "reauthentication.failed")["detail"]["reason"] == "used_code"


def test_the_first_code_of_an_authenticator_does_not_sign_as_well(cast: Cast) -> None:
    bob, request = enrol(cast, "bob", NOW), ask_with_code(cast)
    again = give(cast, "bob", bob.phone.code(), request.id)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.USED_CODE


def test_a_code_older_than_the_last_one_is_not_taken(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    give(cast, "bob", bob.phone.code(NOW + STEP), "first")
    seen_over_a_shoulder = give(cast, "bob", bob.phone.code(NOW), "second")
    assert isinstance(seen_over_a_shoulder, Refusal)


def test_one_code_in_four_requests_at_once_is_taken_once(committing_cast: Cast) -> None:
    cast = committing_cast
    code = enrol(cast, "bob").phone.code()
    results = at_once(*[lambda: give(cast, "bob", code, uuid4())] * 4)
    assert sum(not isinstance(result, Refusal) for result in results) == 1
    assert actions(None).count("reauthentication.failed") == 3


@pytest.mark.parametrize(("steps", "taken"), [(-2, 0), (-1, 1), (1, 1), (2, 0)])
def test_a_code_counts_one_step_to_either_side(cast: Cast, steps: int, taken: int) -> None:
    bob = enrol(cast, "bob")
    given = give(cast, "bob", bob.phone.code(NOW + steps * STEP), "anything")
    assert isinstance(given, Refusal) is not bool(taken)


# Guessing.


def test_guessing_waits_longer_and_longer_and_the_right_code_no_longer_helps(cast: Cast) -> None:
    bob, now = enrol(cast, "bob"), NOW
    for _ in range(FREE_FAILURES):
        wrong = give(cast, "bob", bob.phone.wrong(now), "x", now)
        assert isinstance(wrong, Refusal)
        assert wrong.reason is Reason.WRONG_CODE
    waits = []
    for _ in range(9):
        locked = give(cast, "bob", bob.phone.wrong(now), "x", now)
        assert isinstance(locked, Refusal)
        assert locked.reason is Reason.LOCKED
        waits.append(locked.retry_after_s)
        right = give(cast, "bob", bob.phone.code(now), "x", now)
        assert isinstance(right, Refusal)
        assert right.reason is Reason.LOCKED
        now += timedelta(seconds=locked.retry_after_s)
    assert waits[:3] == [FIRST_WAIT.seconds * n for n in (1, 2, 4)]
    assert waits[-1] == LONGEST_WAIT.seconds
    assert give(cast, "bob", bob.phone.code(now), "x", now) == now
    again = give(cast, "bob", bob.phone.wrong(now), "x", now)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.WRONG_CODE


def test_guesses_from_many_browsers_at_once_share_one_count(committing_cast: Cast) -> None:
    cast = committing_cast
    wrong = enrol(cast, "bob").phone.wrong()
    results = at_once(*[lambda: give(cast, "bob", wrong, "x")] * 8)
    reasons = [result.reason for result in results if isinstance(result, Refusal)]
    assert reasons.count(Reason.WRONG_CODE) == FREE_FAILURES
    assert reasons.count(Reason.LOCKED) == 8 - FREE_FAILURES
    assert Factor.objects.get(user=cast.id("bob")).failures == FREE_FAILURES + 1
    assert actions(None).count("reauthentication.failed") == 8


def test_a_wrong_password_is_no_way_to_try_codes(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    refused = reauthenticate(
        user_id=cast.id("bob"), password="x", code=bob.phone.code(), address=HOME, now=NOW
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_PASSWORD
    assert give(cast, "bob", bob.phone.code(), "x") == NOW  # the code was not used up by it


def test_a_recovery_code_is_taken_once_and_guessing_them_waits_too(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    begin(cast, "bob", code=bob.recovery[0])
    given = who(cast)
    for code in (bob.recovery[0], "", "aaaa-aaaa-aaaa-aaaa", "x" * 500):
        refused = factor_begin(**given, code=code, now=NOW)
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.WRONG_CODE
    refused = factor_begin(**given, code="bbbb", now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LOCKED


def test_one_recovery_code_in_two_requests_at_once_is_taken_once(committing_cast: Cast) -> None:
    cast = committing_cast
    code = enrol(cast, "bob").recovery[0]
    given = who(cast)
    results = at_once(*[lambda: factor_remove(**given, code=code, now=NOW)] * 3)
    assert sum(result is None for result in results) == 1


def test_codes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is compared, by the comparison made for it, also after one was right."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    secret = codes.new_secret()
    for step in (-1, 0, 1):
        codes.matching(secret, codes.code_at(secret, codes.step_of(NOW) + step), NOW)
    assert len(compared) == 9


# Taking it over.


def test_a_stolen_session_sets_up_no_authenticator(cast: Cast) -> None:
    refused = factor_begin(user_id=cast.id("bob"), password="guess", address=HOME, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_PASSWORD
    assert last(None, "factor.failed")["actor"]["name"] == "Bob"
    assert not Factor.objects.exists()


def test_a_stolen_session_cannot_finish_what_the_person_began(cast: Cast) -> None:
    begin(cast, "bob")
    other = begin(cast, "beth")
    for ticket in ("", "x", str(Factor.objects.get(user=cast.id("bob")).id), other.ticket):
        stolen = factor_confirm(user_id=cast.id("bob"), ticket=ticket, code="000000", now=NOW)
        assert isinstance(stolen, Refusal)  # and nothing that shows the secret
        assert last(None, "factor.refused")["detail"]["attempt"] == "confirm"


def test_a_wrong_first_code_shows_the_secret_to_the_ticket_only(cast: Cast) -> None:
    begun = begin(cast, "bob")
    phone = Phone(begun.text)
    wrong = factor_confirm(user_id=cast.id("bob"), ticket=begun.ticket, code=phone.wrong(), now=NOW)
    assert isinstance(wrong, Unconfirmed)
    assert wrong.enrolment.text == begun.text
    assert selectors.factor_of(cast.id("bob")) is None


def test_a_password_alone_replaces_and_removes_nothing(cast: Cast) -> None:
    enrol(cast, "bob")
    given = who(cast)
    assert isinstance(factor_begin(**given, now=NOW), Refusal)
    assert isinstance(factor_remove(**given, code="", now=NOW), Refusal)
    assert Factor.objects.filter(user=cast.id("bob")).count() == 1


def test_a_sealed_secret_put_into_another_row_opens_for_nobody(cast: Cast) -> None:
    bob: Enrolled = enrol(cast, "bob")
    enrol(cast, "beth")
    mine = Factor.objects.get(user=cast.id("bob"))
    Factor.objects.filter(user=cast.id("beth")).update(sealed=bytes(mine.sealed))
    refused = give(cast, "beth", bob.phone.code(), "x")
    assert isinstance(refused, Refusal)


def test_the_uses_of_codes_cannot_be_taken_back(cast: Cast) -> None:
    from django.db import ProgrammingError

    enrol(cast, "bob")
    for statement in ("DELETE FROM accounts_codeuse", "UPDATE accounts_codeuse SET step = 0"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            execute(cast.acme.id, statement)
