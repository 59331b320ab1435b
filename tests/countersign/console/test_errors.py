"""Pages that say what went wrong: in a member's frame, and the same for every stranger."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client, override_settings

from countersign.body_limit import Message, Receive, Send, limited
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.conftest import LogIn

NAVIGATION = 'class="main-nav"'


def page_of(client: Client, address: str, status: int) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_a_member_stays_in_the_workspace(cast: Cast, log_in: LogIn) -> None:
    alice = log_in("alice")
    missing = page_of(alice, "/w/acme/agents/Nobody/", 404)
    refused = page_of(alice, "/w/acme/audit/", 403)
    for page in (missing, refused):
        assert NAVIGATION in page
        assert "To the overview of Acme" in page
    assert "You need the role auditor" in refused


def test_strangers_cannot_tell_which_workspaces_there_are(cast: Cast, log_in: LogIn) -> None:
    mallory = log_in("mallory")
    there, nowhere = (page_of(mallory, f"/w/{slug}/x/", 404) for slug in ("acme", "zzzz"))
    token = re.compile(r'csrfmiddlewaretoken" value="\w+"')
    assert token.sub("", there) == token.sub("", nowhere)
    assert NAVIGATION not in there
    assert "To your workspaces" in there
    assert NAVIGATION not in page_of(Client(), "/w/acme/x/", 404)


def test_an_address_that_takes_a_form_says_so(cast: Cast, log_in: LogIn) -> None:
    # Where somebody lands who logs in anew after having sent the form.
    response = log_in("dan").get("/w/acme/audit/verify/")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    page = response.content.decode()
    assert "what you had sent before was not done" in page
    assert NAVIGATION in page


def test_programs_get_no_page(cast: Cast) -> None:
    response = Client().put("/api/v1/runs")
    assert response.status_code == 405
    assert response.headers["Content-Type"] == "application/problem+json"


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
def test_a_form_that_is_too_large_says_how_large_it_may_be(cast: Cast, log_in: LogIn) -> None:
    response = log_in("alice").post("/w/acme/agents/propose/", {"text": "x" * 2000})
    assert response.status_code == 413
    assert "at most 1000\xa0bytes" in response.content.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/html,*/*", "text/html; charset=utf-8"), ("*/*", "application/problem+json")],
)
def test_a_body_that_is_cut_off_is_answered_in_the_form_of_the_caller(
    accept: str, kind: str
) -> None:
    sent: list[Mapping[str, Any]] = []

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        raise AssertionError("nothing of it may arrive")

    async def receive() -> Mapping[str, Any]:
        raise AssertionError("nothing of it may be read")

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-length", b"101"), (b"accept", accept.encode())]
    scope: Message = {"type": "http", "headers": headers}
    asyncio.run(limited(application, limit=100)(scope, receive, send))
    assert dict(sent[0]["headers"])[b"content-type"].decode() == kind
    assert b"at most" in sent[1]["body"]
