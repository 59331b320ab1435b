"""Attacks on the code at login: coming in without it, guessing it, using what lies before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.http.cookie import SimpleCookie
from django.test import Client
from pytest_django import Settings

from countersign.accounts.models import RecoveryCode, User
from countersign.accounts.services import (
    CODE_WITHIN,
    FullLogin,
    HalfLogin,
    factor_confirm,
    factor_remove,
    login,
    login_finish,
    login_is_half,
    password_change,
)
from countersign.accounts.services.attempts import ACCOUNT_LIMIT, ADDRESS_LIMIT, PAIR_LIMIT
from policies.errors import Reason, Refusal
from tests.attacks.approval import at_once
from tests.attacks.test_second_factor import ask_with_code, give
from tests.countersign.accounts.authenticator import HOME, STEP, Enrolled, Phone, begin, enrol
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last

BACKEND = "django.contrib.auth.backends.ModelBackend"
TICKET, SESSION = "countersign_login", "countersign_session"


@pytest.fixture
def cast(cast: Cast) -> Cast:
    # The one-time passwords were changed long ago.
    User.objects.update(must_change_password=False)
    return cast


def enter(cast: Cast, name: str = "bob", now: datetime = NOW) -> User | HalfLogin | Refusal:
    return login(username=name, password=cast.passwords[name], address=HOME, now=now)


def ticket(cast: Cast, name: str = "bob", now: datetime = NOW) -> str:
    half = enter(cast, name, now)
    assert isinstance(half, HalfLogin), half
    return half.ticket


def finish(ticket: str, code: str, now: datetime = NOW, address: str = HOME) -> Any:
    return login_finish(ticket=ticket, code=code, address=address, now=now)


def reason(found: Any) -> Reason:
    assert isinstance(found, Refusal), found
    return found.reason


# Who is asked.


def test_password_and_code_let_in_and_the_log_tells_both(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    assert actions(None)[-1] == "login.begun"
    found = finish(held, bob.phone.code())
    assert isinstance(found, FullLogin)
    assert (found.user, found.by) == (cast.user("bob"), "totp")
    leaf = last(None, "login.succeeded")
    assert (leaf["actor"]["name"], leaf["detail"]) == ("Bob", {"factor": "totp"})


@pytest.mark.parametrize(
    ("mode", "enrolled", "asked"),
    [
        ("off", True, False),
        ("off", False, False),
        ("enrolled", True, True),
        ("enrolled", False, False),
        ("required", True, True),
        ("required", False, False),
    ],
)
def test_the_setting_says_who_is_asked(
    cast: Cast, settings: Settings, mode: str, *, enrolled: bool, asked: bool
) -> None:
    settings.COUNTERSIGN_LOGIN_TOTP = mode
    if enrolled:
        enrol(cast, "bob")
    assert isinstance(enter(cast), HalfLogin if asked else User)


def test_an_authenticator_that_is_not_confirmed_asks_for_nothing(cast: Cast) -> None:
    begin(cast, "bob")
    assert isinstance(enter(cast), User)


# Coming in without the code.


def test_neither_a_wrong_password_nor_an_unknown_name_tells_who_is_enrolled(cast: Cast) -> None:
    enrol(cast, "bob")
    answers = {
        str(login(username=name, password="guess", address=HOME, now=NOW))
        for name in ("bob", "beth", "nobody")
    }
    assert len(answers) == 1


def test_no_code_but_a_right_one_lets_in(cast: Cast) -> None:
    bob, beth = enrol(cast, "bob"), enrol(cast, "beth")
    held = ticket(cast)
    wrong = {
        "": Reason.WRONG_CODE,
        bob.phone.wrong(): Reason.WRONG_CODE,
        beth.phone.code(): Reason.WRONG_CODE,
        beth.recovery[0]: Reason.WRONG_CODE,
    }
    for code, expected in wrong.items():
        assert reason(finish(held, code)) is expected
        assert last(None, "login.failed")["detail"] == {
            "reason": expected.value,
            "with": "code",
        }
    assert "login.succeeded" not in actions(None)


@pytest.mark.parametrize("made_up", ["", "x", "x:y", "{}:", "a" * 5000])
def test_a_ticket_of_ones_own_making_is_nothing(cast: Cast, made_up: str) -> None:
    bob = enrol(cast, "bob")
    before = actions(None)
    assert not login_is_half(ticket=made_up, now=NOW)
    assert reason(finish(made_up, bob.phone.code())) is Reason.STATE
    # Whoever makes tickets up, a million of them, fills no log.
    assert actions(None) == before


def test_a_ticket_is_good_for_its_person_only(cast: Cast) -> None:
    enrol(cast, "bob")
    beth = enrol(cast, "beth")
    assert reason(finish(ticket(cast, "bob"), beth.phone.code())) is Reason.WRONG_CODE


def test_a_changed_ticket_is_nothing(cast: Cast) -> None:
    from django.core.signing import b64_decode, b64_encode

    enrol(cast, "bob")
    beth = enrol(cast, "beth")
    value, signature = ticket(cast, "bob").rsplit(":", 1)
    changed = b64_decode(value.encode()).replace(
        str(cast.id("bob")).encode(), str(cast.id("beth")).encode()
    )
    forged = f"{b64_encode(changed).decode()}:{signature}"
    assert reason(finish(forged, beth.phone.code())) is Reason.STATE


def test_a_ticket_of_another_purpose_is_nothing(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    begun = begin(cast, "bob", NOW, code=bob.phone.code())
    assert reason(finish(begun.ticket, bob.phone.code(NOW + STEP))) is Reason.STATE
    confirmed = factor_confirm(
        user_id=cast.id("bob"), ticket=ticket(cast), code=Phone(begun.text).code(), now=NOW
    )
    assert reason(confirmed) is Reason.STATE


def test_a_ticket_is_short_lived(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    late = NOW + CODE_WITHIN + timedelta(seconds=1)
    assert login_is_half(ticket=held, now=NOW + CODE_WITHIN)
    assert not login_is_half(ticket=held, now=late)
    assert reason(finish(held, bob.phone.code(late), late)) is Reason.STATE
    assert last(None, "login.failed")["detail"]["reason"] == "state"


@pytest.mark.parametrize("change", ["password", "factor", "removed", "inactive", "login"])
def test_a_ticket_dies_with_what_it_rests_on(cast: Cast, change: str) -> None:
    bob = enrol(cast, "bob")
    held, later = ticket(cast), NOW + 2 * STEP
    who: dict[str, Any] = {"user_id": cast.id("bob"), "address": HOME, "now": NOW}
    phone = bob.phone
    match change:
        case "password":
            new = "three unrelated words"
            assert isinstance(password_change(old=cast.passwords["bob"], new=new, **who), User)
        case "factor" | "removed":
            gone = factor_remove(password=cast.passwords["bob"], code=phone.code(), **who)
            assert gone is None
            phone = enrol(cast, "bob", NOW - STEP).phone if change == "factor" else phone
        case "inactive":
            User.objects.filter(username="bob").update(is_active=False)
        case "login":
            User.objects.filter(username="bob").update(last_login=NOW)
    assert reason(finish(held, phone.code(later), later)) is Reason.STATE


# Using a code twice.


def test_a_code_lets_in_once(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    assert isinstance(finish(held, bob.phone.code()), FullLogin)
    assert reason(finish(held, bob.phone.code())) is Reason.USED_CODE


def test_the_code_of_a_login_signs_nothing(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    code = bob.phone.code()
    assert isinstance(finish(ticket(cast), code), FullLogin)
    assert reason(give(cast, "bob", code, request.id)) is Reason.USED_CODE


def test_the_code_of_a_signature_lets_nobody_in(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    code = bob.phone.code()
    assert give(cast, "bob", code, request.id) == NOW
    assert reason(finish(ticket(cast), code)) is Reason.USED_CODE


def test_a_recovery_code_lets_in_once_and_signs_never(cast: Cast) -> None:
    bob, request = enrol(cast, "bob"), ask_with_code(cast)
    code = bob.recovery[0]
    assert reason(give(cast, "bob", code, request.id)) is Reason.WRONG_CODE
    found = finish(ticket(cast), code.upper().replace("-", " "))
    assert isinstance(found, FullLogin)
    assert found.by == "recovery_code"
    assert last(None, "login.succeeded")["detail"] == {"factor": "recovery_code"}
    assert reason(finish(ticket(cast), code)) is Reason.WRONG_CODE
    assert RecoveryCode.objects.filter(used__isnull=False).count() == 1


def test_many_at_once_with_one_code_are_one_login(committing_cast: Cast) -> None:
    bob = enrol(committing_cast, "bob")
    held = ticket(committing_cast)
    found = at_once(*[lambda: finish(held, bob.recovery[0])] * 4)
    assert sum(isinstance(each, FullLogin) for each in found) == 1


# Guessing.


def test_guessing_waits_and_the_right_code_no_longer_helps(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    for _ in range(5):
        finish(held, bob.phone.wrong())
    refused = finish(held, bob.phone.code())
    assert reason(refused) is Reason.LOCKED
    assert 0 < refused.retry_after_s <= 30
    # A new ticket does not begin anew.
    assert reason(finish(ticket(cast), bob.phone.code())) is Reason.LOCKED


def test_guessing_from_one_place_is_stopped_as_passwords_are(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    for _ in range(PAIR_LIMIT):
        finish(ticket(cast), bob.phone.wrong())
    refused = finish(ticket(cast), bob.recovery[0])
    assert reason(refused) is Reason.LOCKED
    assert refused.sentence.startswith("Too many wrong codes. Try again in")
    assert refused.retry_after_s > 30
    assert isinstance(enter(cast, "beth"), User)


def test_guessing_from_everywhere_is_stopped(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    for number in range(ACCOUNT_LIMIT):
        finish(held, bob.phone.wrong(), address=f"198.51.100.{number}")
    assert reason(finish(held, bob.recovery[0], address="203.0.113.1")) is Reason.LOCKED
    flood = [finish(held, "000000", address=f"203.0.113.{n}") for n in range(20)]
    assert {each.reason for each in flood} == {Reason.LOCKED}
    # 1, 2, 4, 8 and 16 beyond the limit leave an entry.
    assert actions(None).count("login.failed") == ACCOUNT_LIMIT + 5


def test_codes_and_passwords_of_one_address_share_its_limit(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    held = ticket(cast)
    for number in range(ADDRESS_LIMIT):
        login(username=f"someone {number}", password="guess", address=HOME, now=NOW)
    assert reason(finish(held, bob.phone.code())) is Reason.LOCKED


def test_right_codes_never_lock(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    for number in range(PAIR_LIMIT + 2):
        now = NOW + number * STEP
        assert isinstance(finish(ticket(cast, now=now), bob.phone.code(now), now), FullLogin)


# At the door.


def long_enrolled(cast: Cast, name: str) -> Enrolled:
    """The pages have a clock of their own: the real one."""
    return enrol(cast, name, datetime.now(UTC) - timedelta(minutes=10))


def half_in(cast: Cast, name: str = "bob", **more: str) -> Client:
    client = Client()
    sent = client.post("/login", {"username": name, "password": cast.passwords[name], **more})
    assert sent.status_code == 302
    assert sent.headers["Location"].startswith("/login/code")
    return client


def code_now(enrolled: Enrolled) -> str:
    return enrolled.phone.code(datetime.now(UTC))


def test_no_session_exists_before_the_code(cast: Cast) -> None:
    long_enrolled(cast, "bob")
    client = half_in(cast)
    assert SESSION not in client.cookies
    assert not Session.objects.exists()
    for address in ("/", "/w/acme/", "/password", "/second-factor"):
        assert client.get(address).headers["Location"].startswith("/login?")
    for address in ("/second-factor/remove", "/logout", "/w/acme/people/add/"):
        assert client.post(address).headers["Location"].startswith("/login")


def test_the_ticket_stays_with_the_browser_and_the_login(cast: Cast, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True
    long_enrolled(cast, "bob")
    client = half_in(cast)
    cookie = client.cookies[TICKET]
    assert cookie["httponly"] is True
    assert cookie["secure"] is True
    assert (cookie["samesite"], cookie["path"]) == ("Strict", "/login")
    assert int(cookie["max-age"]) == CODE_WITHIN.total_seconds()
    assert cookie.value not in client.get("/login/code").content.decode()
    # In another browser, or as a session, it opens nothing.
    assert Client().get("/login/code").headers["Location"] == "/login"
    elsewhere = Client()
    elsewhere.cookies = SimpleCookie({SESSION: cookie.value})
    assert elsewhere.get("/w/acme/").status_code == 302


def test_the_code_begins_the_session_and_ends_the_ticket(cast: Cast) -> None:
    bob = long_enrolled(cast, "bob")
    client = half_in(cast)
    page = client.get("/login/code")
    assert "no-store" in page.headers["Cache-Control"]
    assert "one-time-code" in page.content.decode()
    wrong = client.post("/login/code", {"code": bob.phone.wrong(datetime.now(UTC))})
    assert "not the code" in wrong.content.decode()
    assert SESSION not in client.cookies
    held = client.cookies[TICKET].value
    assert client.post("/login/code", {"code": code_now(bob)}).headers["Location"] == "/"
    assert client.cookies[TICKET].value == ""
    assert client.get("/w/acme/").status_code == 200
    # Kept by a thief, the ticket is worth nothing any more, not with the next code either.
    thief = Client()
    thief.cookies = SimpleCookie({TICKET: held})
    later = bob.phone.code(datetime.now(UTC) + STEP)
    answer = thief.post("/login/code", {"code": later})
    assert answer.headers["Location"] == "/login"
    assert SESSION not in thief.cookies


def test_too_many_wrong_codes_say_for_how_long(cast: Cast) -> None:
    bob = long_enrolled(cast, "bob")
    client = half_in(cast)
    for _ in range(5):
        answer = client.post("/login/code", {"code": bob.phone.wrong(datetime.now(UTC))})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 30


def test_who_waited_too_long_begins_again(cast: Cast) -> None:
    bob = long_enrolled(cast, "bob")
    client = Client()
    old = ticket(cast, now=datetime.now(UTC) - CODE_WITHIN - STEP)
    client.cookies = SimpleCookie({TICKET: old})
    answer = client.post("/login/code", {"code": code_now(bob)}, follow=True)
    assert answer.redirect_chain == [("/login", 302)]
    assert "This took too long" in answer.content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x()"])
def test_neither_step_leads_to_another_site(cast: Cast, target: str) -> None:
    bob = long_enrolled(cast, "bob")
    client = half_in(cast, next=target)
    assert "evil" not in client.get(f"/login?next={target}").headers.get("Location", "")
    assert client.get(f"/login/code?next={target}").status_code == 200
    sent = client.post("/login/code", {"code": code_now(bob), "next": target})
    assert sent.headers["Location"] == "/"


def test_both_steps_lead_back_to_the_page_that_asked(cast: Cast) -> None:
    bob = long_enrolled(cast, "bob")
    client = Client()
    given = {"username": "bob", "password": cast.passwords["bob"], "next": "/w/acme/runs/"}
    step = client.post("/login", given).headers["Location"]
    assert step == "/login/code?next=%2Fw%2Facme%2Fruns%2F"
    assert 'name="next" value="/w/acme/runs/"' in client.get(step).content.decode()
    sent = client.post("/login/code", {"code": code_now(bob), "next": "/w/acme/runs/"})
    assert sent.headers["Location"] == "/w/acme/runs/"


def test_a_recovery_code_lets_in_and_the_page_says_that_it_is_used(cast: Cast) -> None:
    bob = long_enrolled(cast, "bob")
    client = half_in(cast)
    page = client.post("/login/code", {"code": bob.recovery[3]}, follow=True)
    assert "You logged in with a recovery code" in page.content.decode()


# Where everybody must have one.


def test_whoever_has_none_is_led_to_enrolment_before_anything_else(
    cast: Cast, settings: Settings
) -> None:
    settings.COUNTERSIGN_LOGIN_TOTP = "required"
    client = Client()
    sent = client.post("/login", {"username": "bob", "password": cast.passwords["bob"]})
    assert sent.status_code == 302
    for address in ("/", "/w/acme/", "/w/acme/approvals/", "/w/acme/audit/", "/w/other/"):
        assert client.get(address).headers["Location"].startswith("/second-factor?next=%2F")
    assert client.post("/w/acme/people/add/").headers["Location"] == "/second-factor?next=%2F"
    page = client.get("/second-factor?next=/w/acme/")
    assert "Everybody who works here logs in with a code" in page.content.decode()
    assert "Back to where you were" not in page.content.decode()  # it would lead here again
    begun = client.post(
        "/second-factor/set-up", {"password": cast.passwords["bob"], "next": "/w/acme/"}
    ).content.decode()
    assert client.get("/w/acme/").status_code == 302
    from tests.countersign.console.test_factor import phone_on, ticket_on

    code = phone_on(begun).code(datetime.now(UTC))
    given = {"ticket": ticket_on(begun), "code": code, "next": "/w/acme/"}
    assert 'href="/w/acme/"' in client.post("/second-factor/confirm", given).content.decode()
    assert client.get("/w/acme/").status_code == 200


def test_a_session_from_before_does_not_outlive_the_requirement(
    cast: Cast, settings: Settings
) -> None:
    bob = long_enrolled(cast, "bob")
    client = Client()
    client.force_login(cast.user("bob"), BACKEND)
    assert client.get("/w/acme/").status_code == 200
    settings.COUNTERSIGN_LOGIN_TOTP = "required"
    for address in ("/w/acme/", "/second-factor", "/password"):
        client.force_login(cast.user("bob"), BACKEND)
        assert client.get(address).headers["Location"].startswith("/login?next=")
        assert client.get("/").headers["Location"].startswith("/login")
    client = half_in(cast)
    client.post("/login/code", {"code": code_now(bob)})
    assert client.get("/w/acme/").status_code == 200


def test_a_one_time_password_is_changed_before_the_enrolment(
    cast: Cast, settings: Settings
) -> None:
    settings.COUNTERSIGN_LOGIN_TOTP = "required"
    User.objects.filter(username="bob").update(must_change_password=True)
    client = Client()
    client.force_login(cast.user("bob"), BACKEND)
    for address in ("/w/acme/", "/second-factor"):
        assert client.get(address).headers["Location"] == "/password"
    assert client.get("/password").status_code == 200
