"""Ways into the API that are not a token with the right scope, and ways to vote by it."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from countersign.accounts.models import User
from policies import selectors as policies
from policies.models import ApprovalRequest
from tests.agents.runs.stage import Stage, make_stage
from tests.agents.runs.tools import bank
from tests.countersign.accounts.cast import cast_on_stage
from tests.countersign.api.caller import Caller, caller_in
from tests.countersign.api.conftest import PAY
from tests.countersign.api.operations import OPERATIONS
from tests.harness.server import Server


@pytest.fixture
def stage(
    database_server: Server, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[Stage]:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    with cast_on_stage(database_server, django_db_blocker) as cast:
        User.objects.update(must_change_password=False)
        yield make_stage(cast)


@pytest.fixture
def request_of(stage: Stage) -> ApprovalRequest:
    return stage.request(stage.play(stage.start(PAY)))


def browser(stage: Stage, username: str) -> Client:
    """A browser in which somebody is logged in to the console."""
    client = Client(raise_request_exception=False)
    client.force_login(stage.cast.user(username), "django.contrib.auth.backends.ModelBackend")
    return client


def test_a_session_opens_nothing_with_or_without_a_csrf_token(
    stage: Stage, request_of: ApprovalRequest
) -> None:
    things = defaultdict(lambda: request_of.id, run=request_of.run_id, policy=1, size=1)
    for username in ("ada", "alice", "bob"):
        client = browser(stage, username)
        client.get("/")
        csrf = (
            client.cookies["countersign_csrf"].value
            if "countersign_csrf" in client.cookies
            else "x"
        )
        for operation in OPERATIONS:
            found = Caller(client=client).send(
                operation.method,
                operation.path.format_map(things),
                "{}" if operation.method == "POST" else "",
                headers={"X-CSRFToken": csrf, "Referer": "http://localhost/"},
            )
            assert (found.status, found.code) == (401, "unknown_token"), operation.id


def test_a_session_adds_nothing_to_a_token(stage: Stage, request_of: ApprovalRequest) -> None:
    token = caller_in(stage.cast.other).token
    found = Caller(token, browser(stage, "alice")).get(f"runs/{request_of.run_id}")
    assert found.status == 404


@pytest.mark.parametrize("place", ["query", "cookie", "body", "basic", "other header", "path"])
def test_a_token_counts_only_where_it_belongs(stage: Stage, place: str) -> None:
    token = caller_in(stage.cast.acme).token
    nobody = Caller()
    match place:
        case "query":
            found = nobody.get("runs", access_token=token, token=token)
        case "cookie":
            nobody.client.cookies["Authorization"] = f"Bearer {token}"
            found = nobody.get("runs")
        case "body":
            found = nobody.post("runs", {"agent": "Teller", "access_token": token})
        case "basic":
            found = nobody.send("GET", "runs", headers={"Authorization": f"Basic {token}"})
        case "path":
            found = nobody.get(f"runs/{token}")
            assert found.status == 404
            return
        case _:
            found = nobody.send(
                "GET", "runs", headers={"X-Authorization": f"Bearer {token}", "X-Api-Key": token}
            )
    assert found.status == 401


def test_headers_that_some_proxies_honour_change_nothing(
    stage: Stage, request_of: ApprovalRequest
) -> None:
    reader = caller_in(stage.cast.other)
    for name in ("X-Workspace", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"):
        found = reader.send("GET", f"runs/{request_of.run_id}", headers={name: "acme"})
        assert found.status == 404
    found = reader.send(
        "GET",
        "runs",
        headers={"X-HTTP-Method-Override": "POST", "X-Original-URL": "/api/v1/audit/entries"},
    )
    assert found.body == {"items": [], "next": ""}


def test_no_address_takes_a_vote(stage: Stage, request_of: ApprovalRequest) -> None:
    everything = caller_in(stage.cast.acme)
    vote = {
        "answer": "sign",
        "meaning": "approved",
        "comment": "",
        "displayed_digest": request_of.displayed_digest,
        "user": str(stage.cast.id("bob")),
    }
    below = f"approvals/{request_of.id}"
    for path in (below, f"{below}/vote", f"{below}/votes", f"{below}/sign", "approvals", "votes"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            found = everything.send(method, path, str(vote))
            assert found.status in (404, 405), (method, path)
    # The console's own address wants a session, and sends to the login.
    address = f"/w/acme/approvals/{request_of.id}/sign/"
    response = everything.client.post(
        address, vote, headers={"Authorization": f"Bearer {everything.token}"}
    )
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/login")
    now = policies.request(stage.workspace_id, request_of.id)
    assert now is not None
    assert (now.state, len(now.votes.all()), bank.effects) == ("waiting", 0, [])


def test_a_key_or_cursor_of_another_workspace_tells_nothing(stage: Stage) -> None:
    here, elsewhere = caller_in(stage.cast.acme), caller_in(stage.cast.other)
    for number in range(3):
        made = here.post("runs", {"agent": "Teller"}, Idempotency_Key=f"week {number}")
        assert made.status == 201
    assert elsewhere.post("runs", {"agent": "Teller"}, Idempotency_Key="week 0").status == 404
    cursor = here.get("runs", limit=1).body["next"]
    assert elsewhere.get("runs", cursor=cursor).body == {"items": [], "next": ""}
    assert elsewhere.get("runs", text=made.body["id"]).body["items"] == []


def test_secrets_are_in_no_answer(stage: Stage) -> None:
    caller = caller_in(stage.cast.acme)
    caller.get("runs")
    said = [caller.get(path).body for path in ("agents", "tools", "models", "audit/entries")]
    text = str(said)
    assert caller.token.rsplit("_", 1)[-1] not in text
    assert "api_key" not in text
    assert "base_url" not in text
