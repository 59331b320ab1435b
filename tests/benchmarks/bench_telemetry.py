"""What telemetry costs a step of a run: off, and on with spans handed to a batch exporter."""

import timeit
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agents import tracing
from policies.engine import Decision, Outcome
from tests.benchmarks.result import Result

ROUNDS = 2_000
ONE_PERCENT_OF_A_STEP = 150.0
"""Microseconds; a governed step has a goal of 15 ms."""
DECISION = Decision(Outcome.ALLOW, (), "", "0" * 64, ())


def step() -> None:
    """The spans of an ordinary step with one tool call."""
    with tracing.span("facts"):
        pass
    for action in ("use_model", "execute", "call:pay"):
        with tracing.span(f"decision {action}") as decision:
            tracing.decided(decision, action, DECISION)
    with tracing.span("chat", {"gen_ai.operation.name": "chat"}), tracing.span("step"):
        with tracing.span("jail"), tracing.tool_call("pay", "write", "id", {}):
            pass
        tracing.measures.step_time.record(1.0, {"status": "completed"})


def micros(act: Callable[[], Any]) -> float:
    return min(timeit.repeat(act, number=ROUNDS, repeat=5)) / ROUNDS * 1e6


def run() -> list[Result]:
    off = micros(step)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    before, tracing.tracer = tracing.tracer, provider.get_tracer("bench")
    try:
        on = micros(step)
    finally:
        tracing.tracer = before
        provider.shutdown()
    return [
        Result("telemetry off, per step", off, "µs", ONE_PERCENT_OF_A_STEP, "lower"),
        Result("telemetry on, per step", on, "µs", 1_000, "lower"),
    ]
