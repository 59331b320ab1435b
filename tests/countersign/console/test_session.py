"""Logging in, out, and the one-time password."""

import re

import pytest
from django.test import Client
from pytest_django import Settings

from audit import selectors
from countersign.accounts.models import User
from countersign.accounts.services.attempts import PAIR_LIMIT
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.conftest import LogIn


def send(client: Client, cast: Cast, password: str = "", **extra: str) -> tuple[int, str, str]:
    """Log in as Alice; gives status, where to, and the page."""
    given = {"username": "Alice ", "password": password or cast.passwords["alice"], **extra}
    response = client.post("/login", given)
    return response.status_code, response.get("Location", ""), response.content.decode()


def test_the_right_password_opens_the_only_workspace(cast: Cast) -> None:
    client = Client()
    assert send(client, cast)[:2] == (302, "/")
    assert client.get("/").headers["Location"] == "/w/acme/"


def test_a_wrong_password_says_nothing_about_which_part_was_wrong(cast: Cast) -> None:
    status, _, page = send(Client(), cast, "not the password")
    assert status == 200
    assert "User name or password is wrong." in page
    _, _, other = send(Client(), cast, username="nobody-of-this-name")
    assert "User name or password is wrong." in other


def test_too_many_wrong_passwords_lock_and_say_for_how_long(cast: Cast) -> None:
    client = Client()
    for _ in range(PAIR_LIMIT):
        assert send(client, cast, "wrong")[0] == 200
    status, _, page = send(client, cast)
    assert status == 429
    assert "Too many wrong passwords. Try again in" in page


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x()"])
def test_a_login_never_leads_to_another_site(cast: Cast, target: str) -> None:
    assert send(Client(), cast, next=target)[:2] == (302, "/")


def test_a_login_leads_back_to_the_page_that_asked_for_it(cast: Cast) -> None:
    asked = Client().get("/w/acme/runs/?state=open")
    assert asked.headers["Location"] == "/login?next=/w/acme/runs/%3Fstate%3Dopen"
    assert send(Client(), cast, next="/w/acme/runs/")[:2] == (302, "/w/acme/runs/")


def test_logging_out_ends_the_session_and_is_recorded(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    assert client.post("/logout").headers["Location"] == "/login"
    assert client.get("/w/acme/").status_code == 302
    filters = selectors.Filters(actions=("session.ended",))
    [entry] = selectors.entries(None, filters).entries
    assert entry.actor_id == str(cast.id("alice"))


def test_cookies_over_tls_are_this_hosts_own(cast: Cast, settings: Settings) -> None:
    """A browser believes the prefix only with these attributes, and drops the cookie without."""
    session, csrf = (
        f"__Host-{name}" for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    )
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = session, csrf
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    User.objects.update(must_change_password=False)
    client = Client(enforce_csrf_checks=True, headers={"referer": "https://testserver/login"})
    page = client.get("/login", secure=True).content.decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    given = {"username": "alice", "password": cast.passwords["alice"]}
    assert client.post("/login", given, secure=True).status_code == 403
    given["csrfmiddlewaretoken"] = token
    assert client.post("/login", given, secure=True).status_code == 302
    for name in (session, csrf):
        held = client.cookies[name]
        assert (held["path"], held["domain"], held["secure"]) == ("/", "", True)
        assert held["httponly"] is True
    assert client.get("/w/acme/", secure=True).status_code == 200
    # Under the name that any host of the domain may set, the same value opens nothing.
    planted = Client()
    planted.cookies["countersign_session"] = client.cookies[session].value
    assert planted.get("/w/acme/", secure=True).status_code == 302
    token = re.findall(
        r'name="csrfmiddlewaretoken" value="(\w+)"',
        client.get("/password", secure=True).content.decode(),
    )[0]
    client.post("/logout", {"csrfmiddlewaretoken": token}, secure=True)
    gone = client.cookies[session]
    assert (gone.value, gone["path"], gone["secure"]) == ("", "/", True)


def test_a_one_time_password_must_be_changed_before_anything_else(
    cast: Cast, log_in: LogIn
) -> None:
    User.objects.filter(username="alice").update(must_change_password=True)
    client = log_in("alice")
    assert client.get("/w/acme/").headers["Location"] == "/password"
    page = client.get("/password").content.decode()
    assert "Choose your own password" in page
    old, new = cast.passwords["alice"], "three unrelated words"
    weak = client.post("/password", {"old": old, "new": "short", "again": "short"})
    assert "too short" in weak.content.decode()
    mistyped = client.post("/password", {"old": old, "new": new, "again": "other"})
    assert "not the same as the new password" in mistyped.content.decode()
    assert client.post("/password", {"old": old, "new": new, "again": new}).status_code == 302
    assert client.get("/w/acme/").status_code == 200


def test_every_answer_forbids_inline_script_and_style(cast: Cast, log_in: LogIn) -> None:
    for client, address in ((Client(), "/login"), (log_in("alice"), "/w/acme/")):
        policy = client.get(address).headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_who_is_in_several_workspaces_chooses(cast: Cast, log_in: LogIn) -> None:
    from countersign.accounts.services import PersonDraft, workspace_prepare

    draft = PersonDraft("alice", "Alice", "alice@example.org", ["auditor"])
    workspace_prepare(name="Treasury", slug="treasury", people=[draft])
    page = log_in("alice").get("/").content.decode()
    assert "/w/acme/" in page
    assert "Treasury" in page
