"""Whatever is wrong with a request, the answer is a problem that says what."""

import json
from typing import Any

import pytest
from django.db import OperationalError

from agents import services
from agents.models import Run
from tests.agents.runs.stage import Stage
from tests.countersign.api.caller import Caller

DEEP = "[" * 40 + "]" * 40


ADDRESSES = (
    ("GET", "/api/v1/nothing", 404),
    ("POST", "/api/v1/nothing", 404),
    ("GET", "/api/v1/", 404),
    ("GET", "/api/v1", 404),
    ("GET", "/api/v1/runs/", 404),
    ("GET", "/api/v1/runs/not-an-id", 404),
    ("GET", "/api/", 404),
    ("PUT", "/api/v2/runs", 404),
    ("PUT", "/api/v1/runs", 405),
    ("DELETE", "/api/v1/openapi.json", 405),
    ("OPTIONS", "/api/v1/runs", 405),
    ("PATCH", "/api/v1/approvals", 405),
)


def test_an_address_or_method_that_is_none_is_a_problem(billing: Caller) -> None:
    wrong = []
    for method, path, status in ADDRESSES:
        found = billing.send(method, path, "{}" if method != "GET" else "")
        allows = "GET" in found.headers.get("Allow", "")
        if (found.status, allows) != (status, status == 405):
            wrong.append((method, path, found))
    assert wrong == []


BODIES: tuple[tuple[str | bytes, int, str], ...] = (
    ("", 422, "body"),
    ("{", 400, ""),
    ("\x00", 400, ""),
    (b"\xff\xfe", 400, ""),
    ('{"agent": NaN}', 400, ""),
    ('{"reason": "a", "reason": "b"}', 400, ""),
    ("9" * 5000, 400, ""),
    ("[" * 100_000, 400, ""),
    ("[]", 422, "body"),
    ('"text"', 422, "body"),
    ("null", 422, "body"),
    (f'{{"agent": {DEEP}}}', 422, "body"),
    ('{"agent": "a\\u0000b"}', 422, "body.agent"),
    ('{"reason": "\\ud800"}', 422, "body.reason"),
    ('{"a\\u0000": 1}', 422, "body"),
    ('{"agent": 1e999}', 422, "body.agent"),
    ('{"agent": 9007199254740993}', 422, "body.agent"),
)


def test_a_body_that_is_no_sound_json_is_refused(billing: Caller, queued: Run) -> None:
    wrong = []
    for path in ("runs", f"runs/{queued.id}/cancel"):
        for body, status, field in BODIES:
            found = billing.send("POST", path, body)
            if (found.status, found.fields) != (status, [field] if field else []):
                wrong.append((path, body[:40], found))
    assert wrong == []


FIELDS: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({}, ["agent"]),
    ({"agent": 7}, ["agent"]),
    ({"agent": "x" * 101}, ["agent"]),
    ({"agent": "Teller", "goal": "x" * 20_001}, ["goal"]),
    ({"agent": "Teller", "goal": None, "inputs": []}, ["goal", "inputs"]),
    ({"agent": "Teller", "input": {}}, ["input"]),
    ({"agent": "Teller", "inputs": {"limit": "many"}}, ["inputs.limit"]),
    ({"agent": "Teller", "inputs": {"unknown": 1}}, ["inputs"]),
    ({"agent": "Teller", "goal": " "}, ["goal"]),
)


def test_a_field_that_is_wrong_is_named(billing: Caller) -> None:
    wrong = []
    for body, fields in FIELDS:
        found = billing.post("runs", body)
        named = all(field in found.body["detail"] for field in fields)
        if (found.status, found.fields, named) != (422, fields, True):
            wrong.append((body, found))
    assert wrong == []


QUERIES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("runs", {"limit": 0}, "limit"),
    ("runs", {"limit": 201}, "limit"),
    ("runs", {"limit": "many"}, "limit"),
    ("runs", {"sate": "queued"}, "sate"),
    ("runs/{run}", {"verbose": "yes"}, "verbose"),
    ("agents", {"": "x"}, ""),
    ("runs", {"state": "sleeping"}, "state.0"),
    ("runs", {"text": "a\x00b"}, "text"),
    ("runs", {"agent": "\x00"}, "agent"),
    ("approvals", {"run": "x"}, "run"),
    ("approvals", {"state": "sleeping"}, "state.0"),
    ("audit/entries", {"action": "\x00"}, "action.0"),
    ("audit/entries", {"run": "x"}, "run"),
    ("runs/{run}/steps", {"after": -1}, "after"),
    ("runs/{run}/events", {"after": 2**31}, "after"),
    ("runs/{run}/events", {"limit": 0}, "limit"),
)


def test_a_parameter_that_is_wrong_is_named(billing: Caller, queued: Run) -> None:
    wrong = []
    for path, query, field in QUERIES:
        found = billing.get(path.format(run=queued.id), **query)
        if (found.status, found.fields) != (422, [field]):
            wrong.append((path, query, found))
    assert wrong == []


def test_a_key_that_is_too_long_is_named(billing: Caller) -> None:
    found = billing.post("runs", {"agent": "Teller"}, Idempotency_Key="k" * 201)
    assert (found.status, found.fields) == (422, ["Idempotency-Key"])


def test_a_body_that_is_too_large_is_refused(billing: Caller) -> None:
    found = billing.post("runs", {"agent": "Teller", "goal": "x" * 3_000_000})
    assert (found.status, found.code) == (413, "too_large")


def test_a_body_that_is_not_json_is_refused(billing: Caller) -> None:
    found = billing.send("POST", "runs", "agent=Teller", content_type="text/plain")
    assert (found.status, found.code) == (415, "not_json")


def test_an_unknown_agent_is_not_found(billing: Caller) -> None:
    found = billing.post("runs", {"agent": "Nobody"})
    assert (found.status, found.code) == (404, "not_found")
    assert "Nobody" in found.body["detail"]


def test_a_fault_of_ours_tells_nothing_but_that_it_is_ours(
    billing: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("select secret from vault")

    monkeypatch.setattr(services, "run_start", fail)
    found = billing.post("runs", {"agent": "Teller"})
    assert (found.status, found.code) == (500, "internal_error")
    assert "vault" not in json.dumps(found.body)
    assert "vault" in caplog.text


def test_without_the_database_the_answer_is_to_try_again(
    billing: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(services, "run_start", fail)
    found = billing.post("runs", {"agent": "Teller"})
    assert (found.status, found.code) == (503, "unavailable")
    assert int(found.headers["Retry-After"]) > 0


def test_health_is_answered_without_a_token(stage: Stage) -> None:
    for path in ("/healthz", "/readyz"):
        assert Caller().send("GET", path).body == {"status": "ok"}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:80:80", "a b"])
def test_a_host_that_is_not_ours_is_a_problem(billing: Caller, host: str) -> None:
    for path in ("runs", "/api/v1/openapi.json", "/api/nothing"):
        found = billing.send("GET", path, headers={"Host": host})
        assert (found.status, found.code) == (400, "unknown_host"), path
    page = billing.client.get("/login", headers={"Host": "evil.example"})
    assert page.status_code == 400
    assert page.headers["Content-Type"].startswith("text/html")
