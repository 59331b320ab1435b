"""A real HTTP service for tests: it answers what a test says and remembers what it was asked."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agents.registry.apis import OperationEntry
from agents.registry.format import parse
from agents.tools.context import ToolContext
from agents.tools.http_call import Network, perform
from agents.tools.http_request import HttpOperation

DOCUMENT = Path(__file__).with_name("ledger.yaml").read_text("utf-8")
SECRET = "s3cret-token-of-the-ledger"


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """What a test sets and sees.

    Attributes:
        answer: writes the answer to a request, with the handler's own methods.
    """

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: say(handler, 200, b"{}")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def say(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    media: str = "application/json",
    **headers: str,
) -> None:
    """One whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", media)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append(Asked(self.command, self.path, headers, self.rfile.read(length)))
            with contextlib.suppress(OSError):
                service.answer(self)

        do_GET = do_POST = do_DELETE = do_PUT = handle_any  # noqa: N815 - the server's own names

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def register_text(service: Service, **changes: str) -> str:
    """A registration file that makes tools of the service's operations."""
    lines = {
        "server": f"http://{service.host}/v1",
        "private_hosts": f'["{service.host}"]',
        "credential": "{bearer: env:LEDGER_TOKEN}",
        **changes,
    }
    head = "\n".join(f"    {key}: {value}" for key, value in lines.items() if value)
    return f"""
apis:
  ledger:
    document: ledger.yaml
{head}
    operations:
      get_invoice: {{operation: getInvoice, effect: read, timeout_s: 3, max_result_bytes: 5000}}
      get_scan: {{operation: getScan, effect: read}}
      create_payment:
        operation: createPayment
        effect: write
        roles: {{account: recipient, amount: amount_minor}}
        idempotent: true
        idempotency_header: Idempotency-Key
        timeout_s: 3
      cancel_payment: {{operation: "DELETE /payments/{{id}}", effect: write, timeout_s: 3}}
"""


def tools(text: str, document: str = DOCUMENT) -> dict[str, OperationEntry]:
    found = parse(text, documents={"ledger.yaml": document})
    return {entry.name: entry for entry in found.operations}


def context(cancelled: Callable[[], bool] = lambda: False, secret: str = SECRET) -> ToolContext:
    return ToolContext("w", "r", 1, "key-1", cancelled=cancelled, resolve=lambda _: secret)


def call(
    operation: HttpOperation,
    *,
    writes: bool = False,
    repeatable: bool = False,
    timeout_s: float = 3.0,
    max_bytes: int = 5000,
    told: ToolContext | None = None,
    network: Network | None = None,
    **arguments: Any,
) -> Any:
    """One call of an operation, without what stands around it."""
    return perform(
        operation,
        {"id": "1", **arguments},
        told or context(),
        writes=writes,
        repeatable=repeatable,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        network=network,
    )
