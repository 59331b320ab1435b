"""Who may call what: every operation, every scope, every way of having no good token."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from agents.models import Run
from agents.registry import Proposal, propose
from agents.registry.writing import agent_text
from audit import selectors as audit
from audit.export.scope import Kind
from audit.export.scope import Scope as Covers
from audit.exports import request_export
from audit.verification import request_verification
from countersign.accounts.models import RateWindow, Token
from countersign.accounts.scopes import Scope
from countersign.accounts.services import service_account_disable, token_revoke
from countersign.accounts.services.token import REQUESTS_A_MINUTE
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.api.urls import api
from policies.models import ApprovalRequest, PolicySimulation
from policies.selectors import active_policy
from policies.services import policy_simulate
from tests.agents.runs.stage import Stage
from tests.countersign.api.caller import Caller, account_of, caller_in, issue
from tests.countersign.api.operations import OPERATIONS
from tests.countersign.console.world import keep_file

HERE = [operation for operation in OPERATIONS if not operation.streams]


@pytest.fixture
def things(stage: Stage, waiting: Run, request_of: ApprovalRequest) -> dict[str, object]:
    """What the addresses of the table name, in Acme."""
    [entry] = audit.entries(stage.workspace_id, limit=1).entries
    dan = stage.cast.actor("dan")
    job = request_export(stage.workspace_id, Covers(Kind.WORKSPACE), payloads=False, actor=dan)
    check = request_verification(stage.workspace_id, dan)
    simulation = policy_simulate(
        workspace_id=stage.workspace_id,
        version_id=active_policy(stage.workspace_id).version_id,
        requester=stage.cast.actor("carol"),
        days=7,
        now=datetime.now(UTC),
    )
    assert isinstance(simulation, PolicySimulation)
    change = propose(
        workspace_id=stage.workspace_id,
        text=agent_text(stage.workspace_id, "Teller", {"goal": "Pay nobody."}),
        actor=stage.cast.actor("alice"),
        now=datetime.now(UTC),
    )
    assert isinstance(change, Proposal)
    assert change.request is not None
    return {
        "change": change.request.id,
        "run": waiting.id,
        "request": request_of.id,
        "entry": entry.id,
        "policy": 1,
        "simulation": simulation.id,
        "size": 1,
        "export": job.id,
        "artifact": keep_file(stage.workspace_id, waiting).id,
        "verification": check.id,
    }


def test_every_operation_stands_in_the_table() -> None:
    published = {
        (operation["operationId"], method.upper(), path.removeprefix("/api/v1/").count("{"))
        for path, methods in api.document["paths"].items()
        for method, operation in methods.items()
    }
    assert published == {(op.id, op.method, op.path.count("{")) for op in OPERATIONS}
    assert api.scopes == {op.id: op.scope.value for op in OPERATIONS}


def test_each_operation_needs_its_scope_and_no_other(
    stage: Stage, things: dict[str, object]
) -> None:
    account = account_of(stage.cast.acme)
    only = {scope: Caller(issue(account, scope).secret) for scope in Scope}
    lacking = {
        scope: Caller(issue(account, *(each for each in Scope if each is not scope)).secret)
        for scope in Scope
    }
    wrong = []
    for operation in OPERATIONS:
        path = operation.path.format(**things)
        body = json.dumps(operation.body) if operation.body is not None else ""
        refused = lacking[operation.scope].send(operation.method, path, body)
        challenge = refused.headers.get("WWW-Authenticate", "")
        if (refused.status, refused.code) != (403, "scope") or operation.scope not in challenge:
            wrong.append((operation.id, "without its scope", refused))
        if not operation.streams:
            allowed = only[operation.scope].send(operation.method, path, body)
            if allowed.status != operation.status:
                wrong.append((operation.id, "with its scope", allowed))
    assert wrong == []


def test_the_scope_is_checked_before_the_request_is_read(stage: Stage) -> None:
    reader = caller_in(stage.cast.acme, Scope.RUNS_READ)
    assert reader.send("POST", "runs", "not json").status == 403
    assert caller_in(stage.cast.acme, Scope.AUDIT_READ).get("runs", limit="many").status == 403


def test_another_workspaces_things_are_not_there(
    stranger: Caller, things: dict[str, object]
) -> None:
    wrong = []
    for operation in OPERATIONS:
        if not operation.names_something or "{policy}" in operation.path:
            continue
        body = json.dumps(operation.body) if operation.body is not None else ""
        found = stranger.send(operation.method, operation.path.format(**things), body)
        if (found.status, found.code) != (404, "not_found"):
            wrong.append((operation.id, found))
    assert wrong == []


def test_lists_hold_nothing_of_another_workspace(stranger: Caller, waiting: Run) -> None:
    for path in ("runs", "approvals", "changes", "agents", "tools", "models"):
        assert stranger.get(path).body == {"items": [], "next": ""}, path
    assert stranger.get("approvals", run=waiting.id).body["items"] == []
    assert stranger.get("audit/entries", run=waiting.id).body["items"] == []
    assert stranger.post("runs", {"agent": "Teller"}).status == 404


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer cs_000000000000_" + "A" * 43, "Bearer \xe4"],
)
def test_without_a_known_token_nothing_is_answered(stage: Stage, header: str) -> None:
    nobody = Caller()
    for operation in OPERATIONS:
        names = ("simulation", "request", "change", "entry", "size", "export", "verification")
        nothing = dict.fromkeys(names, 0)
        path = operation.path.format(
            run=stage.workspace_id, artifact=stage.workspace_id, policy=1, **nothing
        )
        if "/0" in path:
            continue
        found = nobody.send(operation.method, path, headers={"Authorization": header})
        assert (found.status, found.code) == (401, "unknown_token"), operation.id
        assert found.headers["WWW-Authenticate"].startswith('Bearer realm="Countersign"')


def test_expired_and_revoked_tokens_say_so(stage: Stage) -> None:
    account = account_of(stage.cast.acme)
    expired = issue(account)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    Token.objects.update(created=yesterday - timedelta(days=1), expires=yesterday)
    found = Caller(expired.secret).get("runs")
    assert (found.status, found.code) == (401, "expired_token")
    assert 'error="invalid_token"' in found.headers["WWW-Authenticate"]

    revoked, disabled = issue(account), issue(account)
    now = datetime.now(UTC)
    assert Caller(revoked.secret).get("runs").status == 200
    token_revoke(
        workspace_id=stage.workspace_id, actor=COMMAND_LINE, token_id=revoked.token.id, now=now
    )
    assert Caller(revoked.secret).get("runs").code == "revoked_token"
    service_account_disable(
        workspace_id=stage.workspace_id,
        actor=COMMAND_LINE,
        service_account_id=account.id,
        now=now,
    )
    assert Caller(disabled.secret).get("runs").status == 401


def test_too_many_requests_are_told_when_to_come_back(billing: Caller, stage: Stage) -> None:
    assert billing.get("runs").status == 200
    RateWindow.objects.update(count=REQUESTS_A_MINUTE)
    found = billing.get("runs")
    # The minute may have ended in between; then the limit begins anew.
    if found.status != 200:
        assert (found.status, found.code) == (429, "rate_limited")
        assert 1 <= int(found.headers["Retry-After"]) <= 60
    assert caller_in(stage.cast.acme).get("runs").status == 200


def test_what_is_registered_is_read_with_its_newest_version(billing: Caller) -> None:
    [agent] = billing.get("agents").body["items"]
    assert (agent["name"], agent["number"], agent["scripted"]) == ("Teller", 1, True)
    assert agent["inputs"]["properties"] == {"limit": {"type": "integer"}}
    tools = {tool["name"]: tool for tool in billing.get("tools").body["items"]}
    assert tools["pay"]["effect"] == "write"
    [model] = billing.get("models").body["items"]
    assert set(model) == {"name", "number", "digest", "kind", "model", "scripted", "labels"}
    [policy] = billing.get("policies").body["items"]
    assert policy["active"]
    text = billing.get(f"policies/{policy['number']}").body["text"]
    assert "permit" in text
    assert billing.get("policies/99").status == 404


def test_an_entry_is_read_with_the_bytes_that_are_hashed(billing: Caller, waiting: Run) -> None:
    [entry] = billing.get("audit/entries", run=waiting.id, action="run.started").body["items"]
    again = billing.get(f"audit/entries/{entry['id']}").body
    assert again == entry
    assert hashlib.sha256(b"\0" + entry["leaf"].encode()).hexdigest() == entry["leaf_hash"]


def test_an_approval_shows_what_signers_see_and_who_has_voted(
    billing: Caller, stage: Stage, waiting: Run, request_of: ApprovalRequest
) -> None:
    stage.vote(waiting, "bob")
    [listed] = billing.get("approvals").body["items"]
    found = billing.get(f"approvals/{listed['id']}").body
    assert found["state"] == "waiting"
    assert [vote["user_name"] for vote in found["votes"]] == ["Bob"]
    assert found["displayed"] == request_of.displayed
    assert billing.get("approvals", state="rejected").body["items"] == []
    assert [one["id"] for one in billing.get("approvals", run=waiting.id).body["items"]] == [
        listed["id"]
    ]
