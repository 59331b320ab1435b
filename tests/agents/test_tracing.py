"""A run is one trace: web, worker, model, decisions, jail, tools, signatures; parked or not."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any

import pytest
from celery import current_app
from celery.worker.request import Request
from django.test import Client
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import StatusCode, format_trace_id
from pytest_django import Settings

from agents import tracing
from agents.llm.script import parse_script
from agents.llm.scripted import ScriptedServer
from agents.models import Run, RunState
from audit.models import Entry
from audit.transactions import in_workspace
from countersign import telemetry
from countersign.accounts.models import User
from tests.agents.runs.stage import REGISTER, Stage, make_stage, program, register_signed
from tests.agents.runs.test_countersign import ANSWER, PAY_TWO, sign
from tests.agents.runs.tools import bank
from tests.countersign.accounts.cast import make_cast
from tests.countersign.api.caller import caller_in
from tests.harness.server import Clone

MODULES = ["tests.agents.runs.tools"]
# What people, programs, tools and models wrote in these tests; none of it may leave in a span.
WORDS = ("DE01", "SE02", "Kessler", "vendor[", "P-1", "Pay the vendors", "Alice", "Bob", "Beth")


class Recorded:
    """The spans that have ended, in a form to ask questions of."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        found = [span for span in self.all() if span.name == name]
        assert found, f"no span {name!r} among {sorted({span.name for span in self.all()})}"
        return sorted(found, key=lambda span: span.start_time or 0)

    def above(self, span: ReadableSpan) -> list[str]:
        """Names of the span's ancestors, the nearest first."""
        by_id = {each.context.span_id: each for each in self.all() if each.context}
        names = []
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            names.append(span.name)
        return names

    def text(self) -> str:
        """Everything that would leave the process, as one text."""
        return "\n".join(span.to_json() for span in self.all())


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded()
    for module in (tracing, telemetry):
        monkeypatch.setattr(module, "tracer", found.provider.get_tracer("test"))
    return found


@pytest.fixture
def stage(committing_database: Clone, settings: Settings) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = MODULES
    return make_stage(make_cast())


@contextmanager
def scripted(stage: Stage, replies: Sequence[str]) -> Iterator[None]:
    """A model behind a socket that gives these replies, registered for the stage's agent."""
    script = {"model": "scripted-test", "turns": [{"reply": reply} for reply in replies]}
    with ScriptedServer(parse_script(json.dumps(script))) as server:
        text = REGISTER.replace("http://127.0.0.1:9/v1", server.base_url)
        register_signed(stage.cast, text)
        yield


def serve() -> int:
    """Run all that the queue holds, as a worker does; tells how many tasks that was."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    app.loader.import_default_modules()
    served = 0
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        while True:
            try:
                message = queue.get(block=False)
            except Empty:
                queue.close()
                return served
            task = app.tasks[message.headers["task"]]
            Request(message, app=app, task=task, on_ack=lambda *_: None).execute()
            served += 1


def in_console(stage: Stage, who: str, run: Run) -> None:
    """Sign the run's newest request in the console, with everything that it asks for."""
    User.objects.update(must_change_password=False)
    client = Client()
    client.force_login(stage.cast.user(who), backend="django.contrib.auth.backends.ModelBackend")
    request = stage.request(run)
    response = client.post(
        f"/w/acme/approvals/{request.id}/sign/",
        {
            "displayed": request.displayed_digest,
            "password": stage.cast.passwords[who],
            "meaning": "approved",
            "comment": "",
        },
    )
    assert response.status_code == 302, response.content.decode()


def test_one_trace_through_web_worker_signatures_and_tools(
    stage: Stage, recorded: Recorded, settings: Settings
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "countersign.telemetry.trace_requests"]
    caller = caller_in(stage.cast.acme)
    current_app.control.purge()
    with scripted(stage, [PAY_TWO, ANSWER]):
        run_id = caller.post("runs", {"agent": "Teller"}).body["id"]
        serve()
        run = fresh(stage, run_id)
        assert run.state == RunState.AWAITING_APPROVAL
        for who in ("bob", "beth"):
            in_console(stage, who, run)
        serve()
        assert fresh(stage, run_id).state == RunState.SUCCEEDED
    assert [made["account"] for _, made in bank.effects] == ["DE01", "SE02"]

    [started] = recorded.named("POST /api/v1/runs")
    first, second = recorded.named("invoke_agent Teller")
    votes = recorded.named("approval.vote")
    trace = started.context.trace_id
    for span in [first, second, *votes, *recorded.named("execute_tool pay")]:
        assert span.context.trace_id == trace
    signed = recorded.named("POST /w/<slug:slug>/approvals/<uuid:request_id>/sign/")
    assert [vote.links[0].context.span_id for vote in votes] == [
        page.context.span_id for page in signed
    ]
    assert [link.context.span_id for link in second.links] == [votes[1].context.span_id]
    assert first.links == ()
    in_worker = ["invoke_agent Teller", "run.start", "POST /api/v1/runs"]
    for name, above in {
        "execute_tool pay": ["jail", "step", *in_worker],
        "execute_tool list_vendors": ["jail", "step", *in_worker],
        "decision call:pay": ["jail", "step", *in_worker],
        "decision execute": in_worker,
        "decision release": ["step", *in_worker],
        "chat scripted-test": in_worker,
        "jail.start": ["restore", "step", *in_worker],
        "decision start_run": ["run.start", "POST /api/v1/runs"],
    }.items():
        assert recorded.above(recorded.named(name)[0]) == above
    assert told(first)["countersign.run.state"] == "awaiting_approval"
    assert told(second)["countersign.run.state"] == "succeeded"
    assert traces_in_log(stage, run) == {format_trace_id(trace)}


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def fresh(stage: Stage, run_id: str) -> Run:
    with in_workspace(stage.workspace_id):
        return Run.objects.get(id=run_id)


def traces_in_log(stage: Stage, run: Run) -> set[str]:
    """The traces that the run's entries name."""
    with in_workspace(stage.workspace_id):
        leaves = Entry.objects.filter(run_id=run.id).values_list("leaf", flat=True)
        return {json.loads(bytes(leaf))["trace"] for leaf in leaves}


def test_spans_hold_nothing_that_anybody_wrote(stage: Stage, recorded: Recorded) -> None:
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    sign(stage, run)
    assert stage.play(run).state == RunState.SUCCEEDED
    said = recorded.text()
    assert "execute_tool pay" in said
    assert [word for word in WORDS if word in said] == []


def test_what_was_said_is_in_spans_once_the_operator_wants_it(
    stage: Stage, recorded: Recorded, settings: Settings
) -> None:
    settings.COUNTERSIGN_TELEMETRY_CONTENT = True
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    sign(stage, run)
    stage.play(run)
    [asked, _] = recorded.named("chat scripted-test")
    assert "Pay the vendors" in str(told(asked)["gen_ai.input.messages"])
    assert "list_vendors()" in str(told(asked)["gen_ai.output.messages"])
    paid = recorded.named("execute_tool pay")[0]
    assert json.loads(str(told(paid)["gen_ai.tool.call.arguments"]))["account"] == "DE01"


def test_an_error_is_told_by_its_type_alone(stage: Stage, recorded: Recorded) -> None:
    bank.fail.add("DE01")
    run = stage.play(stage.start(PAY_TWO, program("final_answer({'done': 'nothing'})")))
    sign(stage, run)
    stage.play(run)
    [failed] = recorded.named("execute_tool pay")
    assert failed.status.status_code is StatusCode.ERROR
    assert told(failed)["error.type"] == "ToolFailed"
    assert failed.events == ()
    assert "closed" not in recorded.text()


def test_a_run_from_before_telemetry_is_traced_by_its_workers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.start(PAY_TWO)
    assert run.trace_parent == ""
    found = Recorded()
    monkeypatch.setattr(tracing, "tracer", found.provider.get_tracer("test"))
    with tracing.worked(run, {}):
        pass
    [span] = found.named("invoke_agent Teller")
    assert span.parent is None


class Broken(SpanExporter):
    """A collector's worst day."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ConnectionError("the collector is gone")


def test_an_exporter_that_fails_touches_no_run(stage: Stage, recorded: Recorded) -> None:
    recorded.provider.add_span_processor(SimpleSpanProcessor(Broken()))
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    sign(stage, run)
    assert stage.play(run).state == RunState.SUCCEEDED
    assert len(bank.effects) == 2


def test_what_is_measured(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(tracing, "measures", tracing.Measures(provider.get_meter("test")))
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    sign(stage, run)
    stage.play(run)
    points = points_of(reader)
    outcomes = {
        (point.attributes["action"], point.attributes["outcome"]): point.value
        for point in points["countersign.decisions"]
    }
    assert outcomes[("call:pay", "review")] == 2
    assert outcomes[("start_run", "allow")] == 1
    tokens = {p.attributes["gen_ai.token.type"]: p.sum for p in points["gen_ai.client.token.usage"]}
    assert tokens == {"input": 20, "output": 10}
    [approval] = points["countersign.approval.latency"]
    assert (approval.count, approval.attributes["countersign.approval.state"]) == (1, "approved")
    for name in ("countersign.jail.start", "countersign.step.duration", "countersign.tool.duration",
                 "gen_ai.client.operation.duration"):  # fmt: skip
        assert sum(point.count for point in points[name]) >= 1, name
    assert points["countersign.cost"][0].value == 0


def points_of(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_the_conventions_version_is_one_that_exists() -> None:
    assert tracing.SCHEMA_URL in {schema.value for schema in Schemas}
