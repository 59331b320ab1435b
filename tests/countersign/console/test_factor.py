"""The pages of the second factor, and signing where the policy asks for it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from countersign.accounts import selectors
from policies.models import ApprovalRequest, Kind
from tests.countersign.accounts.authenticator import Enrolled, Phone, enrol
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.policies.approvals.asking import ask, state

PAGE = "/second-factor"
SECRET = re.compile(r'class="secret mono">([A-Z2-7 ]+)<')


def long_enrolled(cast: Cast, name: str) -> Enrolled:
    """The pages have a clock of their own: the real one."""
    return enrol(cast, name, datetime.now(UTC) - timedelta(minutes=10))


def phone_on(page: str) -> Phone:
    found = SECRET.search(page)
    assert found is not None
    return Phone(found[1])


def ticket_on(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def set_up(client: Client, cast: Cast, name: str, **more: str) -> tuple[Phone, str, str]:
    """Begin at the page and confirm; the phone, the page with the secret, the page with codes."""
    begun = client.post(f"{PAGE}/set-up", {"password": cast.passwords[name], **more})
    assert begun.status_code == 200
    page = begun.content.decode()
    phone = phone_on(page)
    given = {"ticket": ticket_on(page), "code": phone.code(datetime.now(UTC)), **more}
    done = client.post(f"{PAGE}/confirm", given)
    assert done.status_code == 200
    return phone, page, done.content.decode()


def test_it_is_set_up_by_picture_or_text_and_gives_ten_codes(cast: Cast, log_in: LogIn) -> None:
    client = log_in("bob")
    assert "Not set up" in client.get(PAGE).content.decode()
    _, page, codes = set_up(client, cast, "bob")
    assert '<svg class="qr"' in page
    assert "otpauth" not in page  # the picture says it; nobody has to read it
    assert len(re.findall(r"<li class=\"mono\">[a-z2-9]{4}(-[a-z2-9]{4}){3}</li>", codes)) == 10
    after = text(client.get(PAGE).content.decode())
    assert "Set up since" in after
    assert "10 recovery codes left" in after


def test_the_secret_stands_on_no_page_afterwards(cast: Cast, log_in: LogIn) -> None:
    client = log_in("bob")
    phone, _, codes = set_up(client, cast, "bob")
    first = re.search(r"<li class=\"mono\">([^<]+)<", codes)
    assert first is not None
    for address in (PAGE, "/password", "/w/acme/", "/w/acme/people/"):
        shown = client.get(address).content.decode()
        assert phone.text not in shown
        assert first[1] not in shown


@pytest.mark.parametrize("act", ["set-up", "confirm"])
def test_no_cache_keeps_the_pages_with_secrets(cast: Cast, log_in: LogIn, act: str) -> None:
    client = log_in("bob")
    begun = client.post(f"{PAGE}/set-up", {"password": cast.passwords["bob"]})
    page = begun.content.decode()
    given = {"ticket": ticket_on(page), "code": phone_on(page).code(datetime.now(UTC))}
    answer = begun if act == "set-up" else client.post(f"{PAGE}/confirm", given)
    assert "no-store" in answer.headers["Cache-Control"]
    assert client.get(f"{PAGE}/{act}").status_code == 405


def test_a_wrong_first_code_shows_the_same_secret_again(cast: Cast, log_in: LogIn) -> None:
    client = log_in("bob")
    page = client.post(f"{PAGE}/set-up", {"password": cast.passwords["bob"]}).content.decode()
    wrong = phone_on(page).wrong(datetime.now(UTC))
    again = client.post(f"{PAGE}/confirm", {"ticket": ticket_on(page), "code": wrong})
    assert again.status_code == 422
    assert "not the code" in again.content.decode()
    assert phone_on(again.content.decode()) == phone_on(page)


def test_a_stolen_session_gets_no_secret(cast: Cast, log_in: LogIn) -> None:
    owner, thief = log_in("bob"), log_in("bob")
    page = owner.post(f"{PAGE}/set-up", {"password": cast.passwords["bob"]}).content.decode()
    for address, given in (
        ("set-up", {"password": "guess"}),
        ("set-up", {}),
        ("confirm", {"ticket": "", "code": "000000"}),
        ("confirm", {"ticket": "x:y", "code": "000000"}),
    ):
        answer = thief.post(f"{PAGE}/{address}", given, follow=True)
        assert phone_on(page).text not in answer.content.decode()
    assert phone_on(page).text not in thief.get(PAGE).content.decode()
    assert selectors.factor_of(cast.id("bob")) is None


def test_setting_it_up_changes_the_key_of_the_session(cast: Cast, log_in: LogIn) -> None:
    client = log_in("bob")
    before = client.cookies["countersign_session"].value
    set_up(client, cast, "bob")
    assert client.cookies["countersign_session"].value != before
    known_before = Client()
    known_before.cookies["countersign_session"] = before
    assert known_before.get(PAGE).status_code == 302


def test_wrong_codes_are_told_and_lock(cast: Cast, log_in: LogIn) -> None:
    phone, client = long_enrolled(cast, "bob").phone, log_in("bob")
    given = {"password": cast.passwords["bob"], "code": phone.wrong(datetime.now(UTC))}
    for _ in range(4):
        assert client.post(f"{PAGE}/remove", given).status_code == 422
    locked = client.post(f"{PAGE}/remove", given)
    assert locked.status_code == 429
    assert "Too many wrong codes. Try again in 30 seconds." in locked.content.decode()


def test_it_is_removed_and_its_codes_are_renewed(cast: Cast, log_in: LogIn) -> None:
    enrolled, client = long_enrolled(cast, "bob"), log_in("bob")
    given = {"password": cast.passwords["bob"], "code": enrolled.recovery[0]}
    renewed = client.post(f"{PAGE}/recovery-codes", given).content.decode()
    assert enrolled.recovery[1] not in renewed
    fresh = re.search(r"<li class=\"mono\">([^<]+)<", renewed)
    assert fresh is not None
    removed = client.post(f"{PAGE}/remove", {**given, "code": fresh[1]}, follow=True)
    assert "Your authenticator is removed" in removed.content.decode()


# Signing.


def coded(cast: Cast, **changes: Any) -> ApprovalRequest:
    given: dict[str, Any] = {
        "requirement": [{"role": "reviewer:finance", "count": 1}],
        "kind": Kind.CHANGE,
        "run_id": None,
        "step": None,
        "factor": "totp",
        "displayed": {"headline": "A change"},
    }
    return ask(cast, **{**given, **changes})


def ballot(cast: Cast, request: ApprovalRequest, name: str, **more: str) -> dict[str, str]:
    return {
        "displayed": request.displayed_digest,
        "password": cast.passwords[name],
        "meaning": "approved",
        **more,
    }


def test_the_card_says_what_signing_takes(cast: Cast, log_in: LogIn) -> None:
    request = coded(cast)
    page = text(log_in("bob").get(f"/w/acme/approvals/{request.id}/").content.decode())
    assert "To sign Your password and a code from your authenticator" in page
    assert "Needs one finance signature, with a code" in page


def test_it_is_signed_with_a_code(cast: Cast, log_in: LogIn) -> None:
    phone, request, client = long_enrolled(cast, "bob").phone, coded(cast), log_in("bob")
    address = f"/w/acme/approvals/{request.id}/sign/"
    asked = client.get(f"{address}?seen={request.displayed_digest}").content.decode()
    assert "The code that your authenticator shows now" in asked
    assert "one-time-code" in asked
    assert client.post(address, ballot(cast, request, "bob")).status_code == 422
    wrong = ballot(cast, request, "bob", code=phone.wrong(datetime.now(UTC)))
    assert "not the code" in client.post(address, wrong).content.decode()
    assert state(cast, request) == "waiting"
    right = ballot(cast, request, "bob", code=phone.code(datetime.now(UTC)))
    assert client.post(address, right).status_code == 302
    assert state(cast, request) == "approved"
    page = text(client.get(f"/w/acme/approvals/{request.id}/").content.decode())
    assert "approved, with a code" in page


def test_whoever_has_none_is_led_to_set_one_up_and_back(cast: Cast, log_in: LogIn) -> None:
    request, client = coded(cast), log_in("bob")
    address = f"/w/acme/approvals/{request.id}/sign/"
    here = f"{address}?seen={request.displayed_digest}"
    asked = client.get(here).content.decode()
    assert "you have none set up" in asked
    assert f'href="{PAGE}?next={quote(here, safe="")}"' in asked
    assert 'name="password"' not in asked
    refused = client.post(address, ballot(cast, request, "bob"))
    assert refused.status_code == 403
    assert "Set one up under your name" in refused.content.decode()
    _, _, codes = set_up(client, cast, "bob", next=here)
    assert f'href="{here}"' in codes
    assert 'name="code"' in client.get(here).content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x()"])
def test_setting_it_up_never_leads_to_another_site(cast: Cast, log_in: LogIn, target: str) -> None:
    client = log_in("bob")
    assert "evil" not in client.get(f"{PAGE}?next={quote(target)}").content.decode()
    _, _, codes = set_up(client, cast, "bob", next=target)
    assert target not in codes


def test_rejecting_asks_for_no_code(cast: Cast, log_in: LogIn) -> None:
    request, client = coded(cast), log_in("bob")
    address = f"/w/acme/approvals/{request.id}/reject/"
    assert (
        'name="code"'
        not in client.get(f"{address}?seen={request.displayed_digest}").content.decode()
    )
    sent = client.post(address, ballot(cast, request, "bob", comment="No."))
    assert sent.status_code == 302
    assert state(cast, request) == "rejected"


def test_a_request_that_asks_for_no_code_asks_for_none(cast: Cast, log_in: LogIn) -> None:
    long_enrolled(cast, "bob")
    request = coded(cast, factor="")
    page = log_in("bob").get(
        f"/w/acme/approvals/{request.id}/sign/?seen={request.displayed_digest}"
    )
    assert 'name="code"' not in page.content.decode()
