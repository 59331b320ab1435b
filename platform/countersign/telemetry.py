"""OpenTelemetry's SDK, set up where its standard variables ask for it, and never otherwise.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of one signal) turns traces and metrics on; they go there
by OTLP over HTTP. Headers, certificates, time-outs, sampler and resource attributes are the
standard's too and read by the SDK itself. Logs go to stderr, with the trace they belong to.

Guarantees: a collector that is slow, full, wrong or gone costs spans, never a run or a request:
exporting happens in threads of its own from bounded queues, and a process that ends waits for it
at most `FLUSH_S`. A request's span holds its method, route and status: no address, no query, no
header and nothing of its body.
"""

import atexit
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from countersign.middleware import type_async_view, type_view

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

FLUSH_S = 3.0
"""Longest wait for the exporters when a process ends."""

COMMANDS = {"audit_sequencer": "sequencer", "demo": "command"}
"""Commands of ``manage.py`` that are watched, too; web and worker start telemetry themselves."""

QUIET = frozenset({"healthz", "readyz"})
"""Routes that supervisors ask every few seconds."""

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

_SIGNALS = ("traces", "metrics")
_PROTOCOL = "http/protobuf"
_propagator = TraceContextTextMapPropagator()

tracer = trace.get_tracer("countersign.web")
_meter = metrics.get_meter("countersign.web")
_request_time = _meter.create_histogram(
    "http.server.request.duration", "s", "One request, until its response begins"
)


def signals(environment: Mapping[str, str]) -> frozenset[str]:
    """Which of traces and metrics the standard variables ask for.

    Raises:
        ImproperlyConfigured: They ask for an exporter or a protocol that is not installed.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    return frozenset(signal for signal in _SIGNALS if _asked_for(signal, environment))


def _asked_for(signal: str, environment: Mapping[str, str]) -> bool:
    def read(name: str, default: str = "") -> str:
        return environment.get(name, "").strip() or default

    exporter = f"OTEL_{signal.upper()}_EXPORTER"
    general, own = "OTEL_EXPORTER_OTLP_", f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    endpoint = read(own + "ENDPOINT") or read(general + "ENDPOINT")
    chosen = read(exporter, "otlp" if endpoint else "none").lower()
    if chosen == "none":
        return False
    if chosen != "otlp":
        raise ImproperlyConfigured(f"{exporter} must be otlp or none, not {chosen!r}")
    protocol = read(own + "PROTOCOL") or read(general + "PROTOCOL", _PROTOCOL)
    if protocol != _PROTOCOL:
        raise ImproperlyConfigured(
            f"{general}PROTOCOL must be {_PROTOCOL}, not {protocol!r}; collectors listen for it"
            " on port 4318"
        )
    return True


# Starting and ending.

_started = threading.Lock()


def start(process: str) -> bool:
    """Set the SDK up for this process, once; False where nobody asked for it.

    Args:
        process: What it is: web, worker or sequencer.
    """
    wanted: frozenset[str] = settings.COUNTERSIGN_TELEMETRY
    if not wanted or not _started.acquire(blocking=False):
        return False
    ends = [_start_traces(process)] if "traces" in wanted else []
    ends += [_start_metrics(process)] if "metrics" in wanted else []
    _end_within(FLUSH_S, ends)
    return True


def start_for(arguments: list[str]) -> bool:
    """Set the SDK up if this is one of `COMMANDS`, given the process's arguments."""
    process = COMMANDS.get(arguments[1]) if len(arguments) > 1 else None
    return start(process) if process else False


def _start_traces(process: str) -> Callable[[], None]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _start_metrics(process: str) -> Callable[[], None]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource=_resource(process), shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider.shutdown


def _resource(process: str) -> "Resource":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415

    given = OTELResourceDetector().detect().attributes
    ours = {
        "service.name": "countersign",
        "service.version": version("countersign-platform"),
        # Several processes send the same metrics; they must not overwrite one another.
        "service.instance.id": str(uuid.uuid4()),
        "countersign.process": process,
    }
    return Resource.create({name: value for name, value in ours.items() if name not in given})


def _end_within(seconds: float, ends: list[Callable[[], None]]) -> None:
    """Run `ends` when the process ends, and leave them after `seconds`.

    The threads for it wait from now on, since none can be started while the interpreter ends.
    """
    over = threading.Event()

    def wait_and(end: Callable[[], None]) -> None:
        over.wait()
        end()

    threads = [
        threading.Thread(target=wait_and, args=[end], name="telemetry-end", daemon=True)
        for end in ends
    ]
    for thread in threads:
        thread.start()

    def finish() -> None:
        over.set()
        latest = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, latest - time.monotonic()))

    atexit.register(finish)


# Requests.


@sync_and_async_middleware
def trace_requests(get_response: type_view | type_async_view) -> object:
    """Open a span for each request, in the trace that the caller is in, if it says so."""
    if iscoroutinefunction(get_response):
        asynchronous = cast("type_async_view", get_response)

        async def async_middleware(request: HttpRequest) -> HttpResponse:
            with _traced(request) as answered:
                return answered(await asynchronous(request))

        return async_middleware
    synchronous = cast("type_view", get_response)

    def middleware(request: HttpRequest) -> HttpResponse:
        with _traced(request) as answered:
            return answered(synchronous(request))

    return middleware


@contextmanager
def _traced(request: HttpRequest) -> Iterator[Callable[[HttpResponse], HttpResponse]]:
    """The span of a request; what is yielded takes the response and gives it back."""
    if request.path_info.strip("/") in QUIET:
        yield lambda response: response
        return
    method = request.method if request.method in METHODS else "_OTHER"
    began = time.monotonic()
    sent = {name.lower(): value for name, value in request.headers.items()}
    parent = _propagator.extract(sent, context.Context())
    names: dict[str, AttributeValue] = {
        "http.request.method": str(method),
        "url.scheme": str(request.scheme),
    }
    with tracer.start_as_current_span(
        str(method),
        context=parent,
        kind=SpanKind.SERVER,
        attributes=names,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:

        def answered(response: HttpResponse) -> HttpResponse:
            told: dict[str, AttributeValue] = {
                **names,
                "http.response.status_code": response.status_code,
            }
            match = request.resolver_match
            if match is not None:
                told["http.route"] = f"/{match.route}"
                span.update_name(f"{method} /{match.route}")
            span.set_attributes(told)
            if response.status_code >= 500:
                span.set_attribute("error.type", str(response.status_code))
                span.set_status(Status(StatusCode.ERROR))
            _request_time.record(time.monotonic() - began, told)
            return response

        yield answered
