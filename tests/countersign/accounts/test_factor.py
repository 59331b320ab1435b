"""An authenticator's life: set up, replaced, removed; each act in the log, no secret anywhere."""

from datetime import timedelta
from typing import Any

from django.db import connection

from countersign.accounts import selectors
from countersign.accounts.models import Factor, RecoveryCode
from countersign.accounts.services import (
    Enrolment,
    factor_begin,
    factor_confirm,
    factor_remove,
    recovery_codes_renew,
)
from countersign.accounts.services.factor import CONFIRM_WITHIN, unconfirmed_forget
from policies.errors import Reason, Refusal
from tests.countersign.accounts.authenticator import HOME, Phone, begin, enrol
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last


def test_it_counts_from_the_first_code_on(cast: Cast) -> None:
    begun = begin(cast, "bob")
    assert selectors.factor_of(cast.id("bob")) is None
    phone = Phone(begun.text)
    made = factor_confirm(user_id=cast.id("bob"), ticket=begun.ticket, code=phone.code(), now=NOW)
    assert isinstance(made, list)
    assert len(made) == 10
    row = selectors.factor_of(cast.id("bob"))
    assert row is not None
    assert (row.confirmed, row.recovery_codes) == (NOW, 10)
    assert actions(None)[-2:] == ["factor.begun", "factor.confirmed"]
    assert last(None, "factor.confirmed")["detail"] == {"replaced": False}


def test_what_lies_in_the_database_and_in_the_log_is_no_secret(cast: Cast) -> None:
    enrolled = enrol(cast, "bob")
    plain = enrolled.phone.text.replace(" ", "")
    factor = Factor.objects.get(user=cast.id("bob"))
    assert len(bytes(factor.sealed)) > 32
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(f)::text FROM accounts_factor f")
        [(row,)] = cursor.fetchall()
    assert plain not in row
    stored = set(RecoveryCode.objects.values_list("digest", flat=True))
    assert not stored & set(enrolled.recovery)
    told = f"{last(None, 'factor.begun')}{last(None, 'factor.confirmed')}"
    assert plain not in told
    assert not any(code in told for code in enrolled.recovery)


def test_replacing_takes_a_code_and_the_old_one_counts_until_then(cast: Cast) -> None:
    old = enrol(cast, "bob")
    refused = factor_begin(
        user_id=cast.id("bob"), password=cast.passwords["bob"], address=HOME, now=NOW
    )
    assert isinstance(refused, Refusal)
    assert last(None, "factor.refused")["detail"]["attempt"] == "replacement"
    begun = begin(cast, "bob", code=old.phone.code())
    first = selectors.factor_of(cast.id("bob"))
    assert first is not None
    phone, later = Phone(begun.text), NOW + timedelta(minutes=1)
    assert isinstance(
        factor_confirm(
            user_id=cast.id("bob"), ticket=begun.ticket, code=phone.code(later), now=later
        ),
        list,
    )
    second = selectors.factor_of(cast.id("bob"))
    assert second is not None
    assert second.id != first.id
    assert bytes(Factor.objects.get(id=first.id).sealed) == b""
    assert last(None, "factor.confirmed")["detail"] == {"replaced": True}


def test_a_lost_phone_is_replaced_with_a_recovery_code(cast: Cast) -> None:
    old = enrol(cast, "bob")
    assert isinstance(begin(cast, "bob", code=old.recovery[3].upper()), Enrolment)
    assert last(None, "factor.begun")["detail"] == {"by": "recovery_code"}


def test_removing_takes_password_and_code(cast: Cast) -> None:
    phone = enrol(cast, "bob").phone
    bob, password = cast.id("bob"), cast.passwords["bob"]
    for given, code in (("wrong", phone.code()), (password, phone.wrong())):
        refused = factor_remove(user_id=bob, password=given, code=code, address=HOME, now=NOW)
        assert isinstance(refused, Refusal)
    assert selectors.factor_of(bob) is not None
    done = factor_remove(user_id=bob, password=password, code=phone.code(), address=HOME, now=NOW)
    assert done is None
    assert selectors.factor_of(bob) is None
    assert bytes(Factor.objects.get(user=bob).sealed) == b""
    assert actions(None)[-3:] == ["factor.failed", "factor.refused", "factor.removed"]


def test_new_recovery_codes_void_the_old_ones(cast: Cast) -> None:
    enrolled = enrol(cast, "bob")
    given: dict[str, Any] = {
        "user_id": cast.id("bob"),
        "password": cast.passwords["bob"],
        "address": HOME,
    }
    made = recovery_codes_renew(**given, code=enrolled.phone.code(), now=NOW)
    assert isinstance(made, list)
    assert not set(made) & set(enrolled.recovery)
    refused = recovery_codes_renew(**given, code=enrolled.recovery[0], now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_CODE
    assert isinstance(recovery_codes_renew(**given, code=made[0], now=NOW), list)


def test_a_secret_that_nobody_confirms_is_forgotten(cast: Cast) -> None:
    begun = begin(cast, "bob")
    late = NOW + CONFIRM_WITHIN + timedelta(seconds=1)
    refused = factor_confirm(
        user_id=cast.id("bob"), ticket=begun.ticket, code=Phone(begun.text).code(late), now=late
    )
    assert isinstance(refused, Refusal)
    assert unconfirmed_forget(late) == 1
    assert bytes(Factor.objects.get(user=cast.id("bob")).sealed) == b""
    assert unconfirmed_forget(late) == 0


def test_beginning_again_ends_what_was_begun(cast: Cast) -> None:
    first = begin(cast, "bob")
    begin(cast, "bob")
    refused = factor_confirm(
        user_id=cast.id("bob"), ticket=first.ticket, code=Phone(first.text).code(), now=NOW
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.STATE
