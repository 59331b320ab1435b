"""Spans and measurements of a run, told to OpenTelemetry's API.

Nothing happens here unless the process has set up an SDK (``countersign.telemetry``): each call
then costs about a microsecond. A run is one trace: `run_start` stores where it began, and every
worker that takes the run up, and every vote on it, goes on there; what rang for the worker is a
link.

Guarantees: a span names agents, tools, models, rules and outcomes. It holds no text that a person,
a program, a tool or a model wrote, and of an error only its type, unless
``COUNTERSIGN_TELEMETRY_CONTENT`` is on. Spans are for finding faults: a sampler may drop them, and
nobody signs them. Evidence is the log.

Names follow OpenTelemetry's conventions for generative AI (`SCHEMA_URL`; status: Development),
where there is one; all others begin with ``countersign.``.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from opentelemetry import context, metrics, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from agents.llm.chat import ChatReply, ChatRequest
from agents.models import ModelEndpoint, Run, RunState
from agents.sandbox.contract import StepResult, StepStatus
from policies.engine import Decision
from policies.models import ApprovalRequest
from policies.services import VoteResult

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
"""The version whose ``gen_ai.*`` names are used; later ones may rename them."""

MAX_CONTENT_CHARS = 20_000

# Trace Context alone: baggage could carry anything a caller likes into our messages.
_propagator = TraceContextTextMapPropagator()

tracer = trace.get_tracer("countersign.agents", schema_url=SCHEMA_URL)


class Measures:
    """What is counted and timed. Units: seconds, tokens, millionths of the endpoint's currency."""

    def __init__(self, meter: metrics.Meter) -> None:
        self.decisions = meter.create_counter(
            "countersign.decisions", description="Decisions by action and outcome"
        )
        self.approval_latency = meter.create_histogram(
            "countersign.approval.latency", "s", "From asking for signatures to the deciding one"
        )
        self.queue_wait = meter.create_histogram(
            "countersign.queue.wait", "s", "From a run's start to a worker taking it"
        )
        self.runs_due = meter.create_gauge(
            "countersign.queue.due", description="Runs that are due and no worker has"
        )
        self.jail_start = meter.create_histogram(
            "countersign.jail.start", "s", "Getting a jail, from the pool or anew"
        )
        self.step_time = meter.create_histogram(
            "countersign.step.duration", "s", "One program: restore, run, tool calls"
        )
        self.tool_time = meter.create_histogram(
            "countersign.tool.duration", "s", "One execution of a tool"
        )
        self.cost = meter.create_counter(
            "countersign.cost", description="Millionths of the endpoint's currency unit"
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of one model call"
        )
        self.model_time = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "One model call with its retries"
        )


measures = Measures(metrics.get_meter("countersign.agents", schema_url=SCHEMA_URL))


@contextlib.contextmanager
def span(
    name: str,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: context.Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """Open a span; an exception that passes through it is told by its type only."""
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes=attributes,
        links=links,
        # The message of an exception may quote a person's data.
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            failed(current, type(error).__name__)
            raise


def failed(current: Span, kind: str) -> None:
    """Mark a span as failed; `kind` is a word of ours or the name of an exception class."""
    current.set_attribute("error.type", kind)
    current.set_status(Status(StatusCode.ERROR))


def carrier() -> dict[str, str]:
    """The current span as W3C Trace Context headers; empty where there is none."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


# The life of a run.


def starting() -> contextlib.AbstractContextManager[Span]:
    """The span that a run's whole trace hangs on."""
    return span("run.start", kind=SpanKind.PRODUCER)


def began(current: Span, run: Run) -> None:
    """Say which run was started."""
    current.set_attributes(_names(run))


@contextlib.contextmanager
def voting(run: Run | None) -> Iterator[Span]:
    """A person's vote: part of the run's trace, linked to the request it came in.

    Without a trace of the run's own (it was started before telemetry was on, or the vote is not
    about a run) it stays part of the request.
    """
    origin = _origin(run) if run is not None else None
    request = trace.get_current_span().get_span_context()
    links = [Link(request)] if origin is not None and request.is_valid else []
    names = _names(run) if run is not None else {}
    with span("approval.vote", names, parent=origin, links=links) as current:
        yield current


def voted(current: Span, answer: str, result: VoteResult) -> None:
    """Say what became of a vote; who cast it stands in the log alone."""
    current.set_attribute("countersign.answer", answer)
    if result.refusal is not None:
        current.set_attribute("countersign.refusal", result.refusal.reason.value)
    if result.state is not None:
        current.set_attribute("countersign.approval.state", result.state.value)


def settled(request: ApprovalRequest) -> None:
    """Measure how long a request waited, once it is closed."""
    if request.closed is not None:
        waited = (request.closed - request.created).total_seconds()
        measures.approval_latency.record(
            waited, {"countersign.approval.state": request.state, "kind": request.kind}
        )


@contextlib.contextmanager
def worked(run: Run, message: Mapping[str, str]) -> Iterator[Span]:
    """A worker's part of a run, linked to what rang for it (`message`: Trace Context headers)."""
    nowhere = context.Context()
    rung_by = trace.get_current_span(_propagator.extract(message, nowhere)).get_span_context()
    started = trace.get_current_span(_origin(run) or nowhere).get_span_context()
    links = [Link(rung_by)] if rung_by.is_valid and rung_by != started else []
    names = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": provider(run.agent_version.endpoint),
        "gen_ai.request.model": run.agent_version.endpoint.model,
        **_names(run),
        "countersign.epoch": run.epoch,
    }
    name = f"invoke_agent {run.agent_version.agent.name}"
    with span(name, names, kind=SpanKind.CONSUMER, parent=_origin(run), links=links) as current:
        if run.epoch == 1:
            measures.queue_wait.record((datetime.now(UTC) - run.created).total_seconds())
        yield current


@contextlib.contextmanager
def in_trace_of(run: Run) -> Iterator[None]:
    """Say to the log which trace this belongs to, before there is a span of it."""
    token = context.attach(_origin(run) or context.get_current())
    try:
        yield
    finally:
        context.detach(token)


def left(current: Span, run: Run) -> None:
    """Say in which state a worker left a run."""
    current.set_attribute("countersign.run.state", run.state)
    if run.state == RunState.FAILED:
        failed(current, "run_failed")


def _origin(run: Run) -> context.Context | None:
    if not run.trace_parent:
        return None
    # Into an empty context: the caller's own span must not be the parent.
    return _propagator.extract({"traceparent": run.trace_parent}, context.Context())


def _names(run: Run) -> dict[str, AttributeValue]:
    return {
        "gen_ai.agent.name": run.agent_version.agent.name,
        "gen_ai.agent.version": str(run.agent_version.number),
        "gen_ai.conversation.id": str(run.id),
        "countersign.run": str(run.id),
        "countersign.workspace": str(run.workspace_id),
    }


# What happens in it.


@contextlib.contextmanager
def model_call(endpoint: ModelEndpoint, request: ChatRequest) -> Iterator[Span]:
    """One question to the model."""
    address = urlsplit(endpoint.base_url)
    names: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider(endpoint),
        "gen_ai.request.model": request.model,
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "server.address": address.hostname or "",
        "server.port": address.port or (443 if address.scheme == "https" else 80),
    }
    if request.temperature is not None:
        names["gen_ai.request.temperature"] = request.temperature
    with span(f"chat {request.model}", names, kind=SpanKind.CLIENT) as current:
        if with_content(current):
            said = [{"role": m.role, "content": m.content} for m in request.messages]
            current.set_attribute("gen_ai.input.messages", content(said))
        yield current


def answered(current: Span, endpoint: ModelEndpoint, reply: ChatReply, cost_micros: int) -> None:
    """Say what the model call took."""
    usage = reply.usage
    current.set_attributes(
        {
            "gen_ai.response.model": reply.model,
            "gen_ai.response.finish_reasons": [reply.finish_reason.value],
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "countersign.usage.estimated": usage.estimated,
            "countersign.attempts": reply.attempts,
            "countersign.cost_micros": cost_micros,
        }
    )
    if reply.request_id:
        current.set_attribute("gen_ai.response.id", reply.request_id)
    if with_content(current):
        current.set_attribute("gen_ai.output.messages", content(reply.text))
    names = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider(endpoint),
        "gen_ai.request.model": endpoint.model,
    }
    measures.model_time.record(reply.duration_ms / 1000, names)
    measures.tokens.record(usage.input_tokens, {**names, "gen_ai.token.type": "input"})
    measures.tokens.record(usage.output_tokens, {**names, "gen_ai.token.type": "output"})
    measures.cost.add(cost_micros, {"gen_ai.request.model": endpoint.model})


def decided(current: Span, action: str, decision: Decision) -> None:
    """Say what the policy said."""
    current.set_attributes(
        {
            "countersign.outcome": decision.outcome.value,
            "countersign.rules": [rule.id for rule in decision.rules if not rule.shadow],
            "countersign.policy": decision.policy_hash,
        }
    )
    measures.decisions.add(1, {"action": action, "outcome": decision.outcome.value})


@contextlib.contextmanager
def jail_start() -> Iterator[Span]:
    """Getting a jail."""
    started = time.monotonic()
    with span("jail.start") as current:
        yield current
    measures.jail_start.record(time.monotonic() - started)


def ran(current: Span, result: StepResult) -> None:
    """Say how a program ended."""
    current.set_attributes(
        {
            "countersign.status": result.status.value,
            "countersign.cpu_ms": result.cpu_ms,
            "countersign.calls": result.calls,
        }
    )
    if result.error is not None:
        # Its class is the program's own word: a name, but not one of ours.
        failed(current, "program_error" if result.status is StepStatus.ERROR else result.status)


@contextlib.contextmanager
def tool_call(tool: str, effect: str, call: str, arguments: Mapping[str, object]) -> Iterator[Span]:
    """One execution of a tool; `call` is the id of its row in the journal."""
    names = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call,
        "countersign.effect": effect,
    }
    began = time.monotonic()
    with span(f"execute_tool {tool}", names) as current:
        if with_content(current):
            current.set_attribute("gen_ai.tool.call.arguments", content(arguments))
        try:
            yield current
        finally:
            measures.tool_time.record(time.monotonic() - began, {"gen_ai.tool.name": tool})


def provider(endpoint: ModelEndpoint) -> str:
    """The convention's word for whose protocol an endpoint speaks."""
    return "azure.ai.openai" if endpoint.kind == "azure" else "openai"


def with_content(current: Span) -> bool:
    """Whether the operator wants what was said in spans."""
    wanted = getattr(settings, "COUNTERSIGN_TELEMETRY_CONTENT", False)
    return bool(wanted) and current.is_recording()


def content(value: object) -> str:
    """Text for a span, shortened."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:MAX_CONTENT_CHARS]
