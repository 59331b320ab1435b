"""Runs whose tools are operations of a service: signed, made once, in doubt where it is so."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest

from agents import loop, selectors
from agents.bound import bind
from agents.errors import ToolChanged
from agents.models import CallState, Run, RunState, ToolVersion
from agents.registry import propose
from agents.session import open_session
from agents.tools import secrets
from agents.tools.secrets import EnvironmentSecrets, Secrets
from agents.worker import leases
from audit.transactions import in_workspace
from tests.agents.runs.stage import REGISTER, Stage, program, register_signed
from tests.agents.tools.http_service import (
    DOCUMENT,
    SECRET,
    Service,
    register_text,
    say,
    serving,
)

AGENT = (
    REGISTER[REGISTER.index("agents:") :]
    .replace("tools: [", "tools: [get_invoice, get_scan, create_payment, cancel_payment, ")
    .replace("imports: ", "budgets: {}\n    imports: ")
)
PAY = program("paid = create_payment(account='DE01', amount=500)")
READ = program("invoice = get_invoice(id='7')")
ANSWER = program("final_answer({'done': 1})")


@pytest.fixture
def service(stage: Stage) -> Iterator[Service]:
    with serving() as service:
        secrets.configure(Secrets({"env": EnvironmentSecrets({"LEDGER_TOKEN": SECRET})}))
        text = register_text(service) + AGENT
        register_signed(stage.cast, text, {"ledger.yaml": DOCUMENT})
        yield service
        secrets.configure(secrets.local_secrets())


def sign(stage: Stage, run: Run) -> None:
    for name in ("bob", "beth"):
        assert stage.vote(run, name).refusal is None


def test_a_read_is_asked_with_its_credential_and_journaled(stage: Stage, service: Service) -> None:
    service.answer = lambda handler: say(handler, 200, b'{"id": "7", "total": 12}')
    run = stage.play(stage.start(READ, program("final_answer({'done': invoice['total']})")))
    assert (run.state, run.answer) == (RunState.SUCCEEDED, {"done": 12})
    (asked,) = service.asked
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str([call.result for call in stage.calls(run)])


def test_an_answer_that_is_no_text_is_a_file_of_the_run(stage: Stage, service: Service) -> None:
    service.answer = lambda handler: say(handler, 200, b"%PDF-1.7 scan", media="application/pdf")
    fetch = program("scan = get_scan(id='7')")
    run = stage.play(stage.start(fetch, program("final_answer({'done': scan})")))
    (file,) = selectors.artifacts(stage.workspace_id, run.id)
    assert (file.name, file.media_type) == ("1-1-getScan.pdf", "application/pdf")
    assert run.answer["done"]["sha256"] == file.sha256


def test_a_write_is_signed_and_leaves_once_with_its_key(stage: Stage, service: Service) -> None:
    service.answer = lambda handler: say(handler, 201, b'{"id": "p1"}')
    run = stage.play(stage.start(PAY, program("final_answer({'done': paid['id']})")))
    assert run.state == RunState.AWAITING_APPROVAL
    assert service.asked == []
    assert stage.request(run).displayed["totals"]["amounts"] == {"": 500}
    sign(stage, run)
    run = stage.play(run)
    assert run.answer == {"done": "p1"}
    (asked,) = service.asked
    (call,) = stage.calls(run)
    assert asked.headers["idempotency-key"] == call.idempotency_key


def test_the_agent_is_told_what_the_service_said(stage: Stage, service: Service) -> None:
    service.answer = lambda handler: say(handler, 404, b'{"why": "no such invoice"}')
    run = stage.play(stage.start(READ, ANSWER))
    assert "Http404" in stage.steps(run)[0].observation
    assert "no such invoice" in stage.steps(run)[0].observation
    assert SECRET not in stage.steps(run)[0].observation


def test_a_write_that_may_repeat_does_and_one_that_may_not_waits_for_a_person(
    stage: Stage, service: Service
) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    service.answer = hang_up
    run = stage.play(stage.start(program("cancel_payment(id='p1')"), ANSWER))
    sign(stage, run)
    run = stage.play(run)
    assert run.state == RunState.AWAITING_INPUT
    assert [call.state for call in stage.calls(run)] == [CallState.UNKNOWN]
    assert len(service.asked) == 1


def test_a_repeated_write_that_is_refused_stays_in_doubt(stage: Stage, service: Service) -> None:
    def lost_then_refused(handler: BaseHTTPRequestHandler) -> None:
        if len(service.asked) <= 3:
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            say(handler, 409, b'{"why": "this key is in use"}')

    service.answer = lost_then_refused
    run = stage.play(stage.start(PAY, ANSWER))
    sign(stage, run)
    run = stage.play(run)
    assert run.state == RunState.AWAITING_INPUT
    assert [call.state for call in stage.calls(run)] == [CallState.UNKNOWN]
    assert len({asked.headers["idempotency-key"] for asked in service.asked}) == 1


def test_a_stopped_run_does_not_wait_for_a_slow_service(stage: Stage, service: Service) -> None:
    run = stage.start(READ, ANSWER)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker-1")
    assert lease is not None
    session = open_session(lease)

    def slow(handler: BaseHTTPRequestHandler) -> None:
        session.stop()
        time.sleep(3)

    service.answer = slow
    began = time.monotonic()
    loop.advance(session, stage.model)
    assert time.monotonic() - began < 2.5
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "change", [{"server": "https://evil.example"}, {"hosts": ["evil.example"]}, {"method": "PUT"}]
)
def test_a_version_whose_operation_was_edited_is_not_called(
    stage: Stage, service: Service, change: dict[str, object]
) -> None:
    with in_workspace(stage.workspace_id):
        version = ToolVersion.objects.select_related("tool").get(tool__name="create_payment")
    assert bind(version).definition.name == "create_payment"
    version.operation = {**version.operation, **change}
    with pytest.raises(ToolChanged):
        bind(version)


def test_another_document_is_another_version_and_changes_nothing_by_itself(
    stage: Stage, service: Service
) -> None:
    changed = DOCUMENT.replace("Read one invoice.", "Read one invoice and say nothing else.")
    proposal = propose(
        workspace_id=stage.workspace_id,
        text=register_text(service),
        documents={"ledger.yaml": changed},
        actor=stage.cast.actor("alice"),
        now=datetime.now(UTC),
    )
    assert "tool get_invoice v2" in str(proposal)
    with in_workspace(stage.workspace_id):
        found = ToolVersion.objects.filter(tool__name="get_invoice")
        assert [version.number for version in found] == [1]
