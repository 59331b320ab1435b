"""Writes one HTTP request from the arguments of a call. Pure.

Guarantees: every argument stays at its place. A path argument is percent-encoded and cannot be
empty, `.` or `..` (also between encoded slashes, since some servers decode before they route); a
header argument is printable ASCII, so it can begin no other header; the query is encoded; the body
is JSON. The method, the host and the template of the path come from the tool's version alone.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from agents.tools.context import ToolContext
from agents.tools.errors import ToolFailed
from agents.tools.openapi import Part
from agents.tools.outbound import Reach

USER_AGENT = "countersign"
MAX_TARGET_BYTES = 8_000
MAX_HEADER_CHARS = 4_000

_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_DOTS = re.compile(r"\.{1,2}(?:;.*)?")
_SEPARATORS = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|", "simple": ","}


@dataclass(frozen=True, slots=True)
class Credential:
    """How a call says who it is.

    Attributes:
        kind: `bearer`, `header`, `query` or `basic` (the secret is `user:password`).
        name: of the header or of the query parameter.
        reference: where the secret is; never the secret.
    """

    kind: str
    reference: str
    name: str = ""

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "reference": self.reference, "name": self.name}


@dataclass(frozen=True, slots=True)
class HttpOperation:
    """Where a call goes and how it is written; all of it is part of the tool's version.

    Attributes:
        document: name of the OpenAPI document's file.
        document_sha256: hex, of its bytes.
        operation: operationId, or method and path.
        server: URL without query; the path template is appended to it.
        hosts: the only hosts a call may go to (`host`, at the scheme's port, or `host:port`).
        private_hosts: `host:port` that may be at a private or loopback address.
        idempotency_header: in which the call's key is sent, or "".
        file: an answer that is neither JSON nor text is kept as a file.
    """

    document: str
    document_sha256: str
    operation: str
    method: str
    server: str
    path: str
    parts: tuple[Part, ...]
    credential: Credential | None
    hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    idempotency_header: str = ""
    file: bool = False

    @property
    def reach(self) -> Reach:
        return Reach(frozenset(self.hosts), frozenset(self.private_hosts))

    @property
    def target(self) -> str:
        """Method and URL template, as people read it."""
        return f"{self.method} {self.server.rstrip('/')}{self.path}"

    def to_json(self) -> dict[str, Any]:
        return {
            "document": self.document,
            "document_sha256": self.document_sha256,
            "operation": self.operation,
            "method": self.method,
            "server": self.server,
            "path": self.path,
            "parts": [part.to_json() for part in self.parts],
            "credential": self.credential.to_json() if self.credential else None,
            "hosts": list(self.hosts),
            "private_hosts": list(self.private_hosts),
            "idempotency_header": self.idempotency_header,
            "file": self.file,
        }


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it leaves.

    Attributes:
        target: path and query, encoded.
        body: None where there is none.
    """

    scheme: str
    host: str
    port: int
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None


def write(operation: HttpOperation, arguments: Mapping[str, Any], context: ToolContext) -> Wire:
    """The request of one call, with its credential.

    Raises:
        ToolFailed: an argument cannot stand at its place. Nothing has left.
        SecretError: the credential cannot be resolved.
    """
    url = urlsplit(operation.server)
    path, query, headers, body = operation.path, [], [], _Body()
    for part in operation.parts:
        value = arguments.get(part.argument)
        if value is None and part.optional:
            continue
        if part.where == "path":
            path = path.replace("{" + part.name + "}", _segment(part, value))
        elif part.where == "query":
            query += _query(part, value)
        elif part.where == "header":
            headers.append((part.name, _header(part.name, _joined(part, value, str))))
        else:
            body.put(part, value)
    own, secret_query = _identification(operation, context)
    if operation.idempotency_header:
        own.append((operation.idempotency_header, context.idempotency_key))
    target = quote(url.path.rstrip("/"), safe="/:@!$&'()*+,;=~") + path
    asked = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in query + secret_query)
    if asked:
        target += "?" + asked
    if len(target) > MAX_TARGET_BYTES:
        raise ToolFailed("ArgumentsTooLong", "the arguments make an address that is too long")
    return Wire(
        scheme=url.scheme,
        host=str(url.hostname),
        port=url.port or (443 if url.scheme == "https" else 80),
        target=target.encode("ascii"),
        headers=tuple(_headers(url.netloc, headers + own, body)),
        body=body.encoded,
    )


class _Body:
    """The JSON body: fields put together, or one value."""

    def __init__(self) -> None:
        self.value: Any = None
        self.given = False

    def put(self, part: Part, value: Any) -> None:  # noqa: ANN401 - JSON
        if part.where == "body":
            self.value = value
        else:
            self.value = {**(self.value or {}), part.name: value}
        self.given = True

    @property
    def encoded(self) -> bytes | None:
        if not self.given:
            return None
        return json.dumps(self.value, ensure_ascii=False, allow_nan=False).encode()


def _headers(
    host: str, headers: list[tuple[str, str]], body: _Body
) -> Iterator[tuple[bytes, bytes]]:
    yield b"Host", host.encode("ascii")
    yield b"User-Agent", USER_AGENT.encode()
    yield b"Accept", b"application/json, text/*;q=0.5"
    yield b"Accept-Encoding", b"identity"
    yield b"Connection", b"close"
    encoded = body.encoded
    if encoded is not None:
        yield b"Content-Type", b"application/json"
        yield b"Content-Length", str(len(encoded)).encode()
    for name, value in headers:
        yield name.encode("ascii"), value.encode("ascii")


def _segment(part: Part, value: Any) -> str:  # noqa: ANN401 - JSON
    text = _joined(part, value, str)
    pieces = re.split(r"[/\\]", text)
    if not text or any(_DOTS.fullmatch(piece) for piece in pieces) or _unprintable(text):
        raise ToolFailed(
            "PathArgument", f"{part.argument} must not be empty, and hold no .. and no line ends"
        )
    return _encoded(text)


def _query(part: Part, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
    if part.style == "json":
        return [(part.name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, dict):
        return [(f"{part.name}[{key}]", _text(item)) for key, item in value.items()]
    if isinstance(value, list) and part.explode:
        return [(part.name, _text(item)) for item in value]
    return [(part.name, _joined(part, value, str))]


def _joined(part: Part, value: Any, text: Callable[[str], str]) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return _SEPARATORS[part.style or "simple"].join(text(_text(item)) for item in value)
    return text(_text(value))


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _header(name: str, value: str) -> str:
    if len(value) > MAX_HEADER_CHARS or not _HEADER_TEXT.fullmatch(value):
        raise ToolFailed("HeaderArgument", f"the header {name} must be plain text in one line")
    return value


def _unprintable(text: str) -> bool:
    return any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text)


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _identification(
    operation: HttpOperation, context: ToolContext
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Headers and query parameters of the credential, whose every written form is masked."""
    credential = operation.credential
    if credential is None:
        return [], []
    secret = context.secret(credential.reference)
    for form in (_encoded(secret), json.dumps(secret)[1:-1]):
        context.mask(form)
    if credential.kind == "query":
        return [], [(credential.name, secret)]
    if credential.kind == "basic":
        secret = base64.b64encode(secret.encode()).decode()
        context.mask(secret)
        return [("Authorization", f"Basic {secret}")], []
    if not _HEADER_TEXT.fullmatch(secret):
        raise ToolFailed("SecretError", f"{credential.reference} cannot stand in a header")
    if credential.kind == "bearer":
        return [("Authorization", f"Bearer {secret}")], []
    return [(credential.name, secret)], []
