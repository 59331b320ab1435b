"""Telemetry is off until asked for, tells requests by their route, and never stands in the way."""

import asyncio
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import resolve
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from countersign import telemetry

ROOT = Path(__file__).resolve().parents[2]
SERVE_ONE_REQUEST = (
    "import sys, countersign.asgi\n"
    "from django.test import Client\n"
    "from django.conf import settings\n"
    "settings.ALLOWED_HOSTS += ['testserver']\n"
    "print(Client().get('/api/v1/openapi.json').status_code)\n"
    "print('sdk', 'opentelemetry.sdk.trace' in sys.modules)\n"
)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, set()),
        ({"OTEL_SERVICE_NAME": "x"}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, {"traces", "metrics"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, set()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, {"traces"}),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"},
            {"traces"},
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, set()),
    ],
)
def test_the_standard_variables_decide(variables: dict[str, str], expected: set[str]) -> None:
    assert telemetry.signals(variables) == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "port 4318",
        ),
    ],
)
def test_what_is_not_installed_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        telemetry.signals(variables)


# A process of its own, since an SDK can be set up once in one.


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP; `hold` keeps every answer back."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {}
        self.answer = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        collector = self.server
        assert isinstance(collector, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        collector.bodies.setdefault(self.path, []).append(body)
        collector.answer.wait()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.answer.set()
        server.shutdown()


def web_process(home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A web process that answers one request and ends."""
    return subprocess.run(
        [sys.executable, "-c", SERVE_ONE_REQUEST],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_HOME": str(home),
            "COUNTERSIGN_BROKER_URL": "memory://",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_without_the_variables_no_sdk_is_even_imported(tmp_path: Path) -> None:
    done = web_process(tmp_path / "home")
    assert done.stdout.split("\n")[:2] == ["200", "sdk False"], done.stderr


def test_spans_reach_the_collector_when_the_process_ends(
    tmp_path: Path, collector: Collector
) -> None:
    collector.answer.set()
    done = web_process(
        tmp_path / "home",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    assert done.returncode == 0, done.stderr
    assert "/v1/metrics" in collector.bodies
    sent = ExportTraceServiceRequest()
    sent.ParseFromString(collector.bodies["/v1/traces"][0])
    [of_process] = sent.resource_spans
    about = {a.key: a.value.string_value for a in of_process.resource.attributes}
    assert about["service.name"] == "countersign"
    assert about["countersign.process"] == "web"
    assert about["deployment.environment.name"] == "test"
    assert [span.name for scope in of_process.scope_spans for span in scope.spans] == [
        "GET /api/v1/openapi.json"
    ]


def test_a_collector_that_refuses_or_never_answers_changes_nothing(
    tmp_path: Path, collector: Collector
) -> None:
    for endpoint in ("http://127.0.0.1:9", collector.url):
        done = web_process(
            tmp_path / "home",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_TIMEOUT="100",
        )
        assert done.stdout.split("\n")[:2] == ["200", "sdk True"], done.stderr
        assert done.returncode == 0


# Spans of requests.


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    return exporter


def ask(method: str, path: str, status: int = 200, **headers: str) -> None:
    """Send a request through the middleware alone."""

    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = resolve(path)
        return HttpResponse(status=status)

    request = RequestFactory().generic(
        method, path + "?token=secret", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    middleware = telemetry.trace_requests(view)
    assert callable(middleware)
    middleware(request)


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    [span] = spans.get_finished_spans()
    return span


def test_a_request_is_told_by_its_route(spans: InMemorySpanExporter) -> None:
    ask("GET", "/w/acme/runs/")
    span = only(spans)
    assert span.name == "GET /w/<slug:slug>/runs/"
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/w/<slug:slug>/runs/",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert "secret" not in span.to_json()


def test_a_caller_that_is_traced_already_goes_on(spans: InMemorySpanExporter) -> None:
    ask("POST", "/api/v1/runs", Traceparent=PARENT)
    parent = only(spans).parent
    assert parent is not None
    assert f"{parent.trace_id:032x}" == PARENT.split("-")[1]


@pytest.mark.parametrize("sent", ["", "00-zz", PARENT.replace("0af7", "0" * 5), "x" * 5000])
def test_a_malformed_header_starts_a_trace_of_its_own(
    spans: InMemorySpanExporter, sent: str
) -> None:
    ask("POST", "/api/v1/runs", Traceparent=sent)
    assert only(spans).parent is None


def test_words_of_callers_do_not_become_names(spans: InMemorySpanExporter) -> None:
    ask("ALICE", "/w/acme/runs/")
    assert only(spans).name == "_OTHER /w/<slug:slug>/runs/"


def test_a_server_error_marks_the_span(spans: InMemorySpanExporter) -> None:
    ask("GET", "/w/acme/runs/", status=500)
    assert only(spans).status.status_code is StatusCode.ERROR


def test_health_checks_are_not_worth_a_span(spans: InMemorySpanExporter) -> None:
    ask("GET", "/healthz")
    assert spans.get_finished_spans() == ()


def test_asynchronous_views_are_traced_too(spans: InMemorySpanExporter) -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    middleware = telemetry.trace_requests(view)
    assert callable(middleware)
    asyncio.run(middleware(AsyncRequestFactory().get("/w/acme/runs/")))
    assert only(spans).name == "GET"


def test_only_long_lived_commands_start_telemetry() -> None:
    assert not telemetry.start_for(["manage.py"])
    assert not telemetry.start_for(["manage.py", "check"])
    # Nobody asked for it in this process.
    assert not telemetry.start_for(["manage.py", "audit_sequencer"])
