"""The section `apis` of a registration file: operations of HTTP services as tools. Pure.

    apis:
      billing:
        document: billing.yaml           # OpenAPI 3.0 or 3.1, a file beside this one
        server: https://billing.example/v2         # absent: the document's first server
        credential: {bearer: env:BILLING_TOKEN}    # or {basic: REF}, {header: X-Api-Key, secret:
                                                   # REF}, {query: key, secret: REF}
        hosts: [billing.example]         # absent: the server's own; nothing else is connected to
        private_hosts: ["10.0.0.7:8443"] # host:port that may be at a private address, or be http
        operations:
          list_invoices:                 # the tool's name
            operation: listInvoices      # operationId, or method and path: GET /invoices
            effect: read                 # or write; there is no default
            tier: 1                      # absent: 1 for a read, 3 for a write
            labels: [confidential]       # what the result is
            roles: {customer: recipient} # argument: what it means to a policy
            idempotent: true             # a repeated call with the same key acts once
            idempotency_header: Idempotency-Key
            timeout_s: 20                # also: max_result_bytes, reread, description

The document's hash is part of every tool version made from it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agents.registry.section import Section
from agents.registry.text import YamlError, read
from agents.tools import http, openapi
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolDefinitionError
from agents.tools.http_request import Credential, HttpOperation
from agents.tools.openapi import Document
from agents.tools.openapi_schema import DocumentError

MAX_TARGET_CHARS = 300
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_RESULT_BYTES = 100_000
MAX_TIER = 4

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(?:json|yaml|yml)")
_REFERENCE = re.compile(r"[a-z][a-z0-9]{1,20}:\S{1,279}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?")
_API = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SECRET = "a reference such as env:NAME or file:/path, never the secret"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """A tool over HTTP: its definition, and the operation that is stored with it."""

    name: str
    definition: ToolDefinition
    operation: HttpOperation


def documents_of(text: str) -> list[str]:
    """File names of the documents that a registration file names, each once.

    None where the file cannot be read: registering it says why.
    """
    try:
        value = read(text).value
    except YamlError:
        return []
    apis = value.get("apis") if isinstance(value, Mapping) else None
    named = (
        [api.get("document") for api in apis.values() if isinstance(api, Mapping)]
        if (isinstance(apis, Mapping))
        else []
    )
    return list(dict.fromkeys(n for n in named if isinstance(n, str) and _FILE.fullmatch(n)))


def entries(
    top: Section, tool: re.Pattern[str], documents: Mapping[str, str]
) -> list[OperationEntry]:
    """Every operation of the file's APIs; what is wrong becomes faults of the file.

    Args:
        tool: what the name of a tool looks like.
        documents: text of each document, by file name.
    """
    return [entry for api in top.entries("apis", _API) for entry in _api(api, tool, documents)]


def _api(
    api: Section, tool: re.Pattern[str], documents: Mapping[str, str]
) -> Iterator[OperationEntry]:
    api.only("document", "server", "credential", "hosts", "private_hosts", "operations")
    document = _document(api, documents)
    credential = _credential(api)
    operations = api.inner("operations")
    if operations is None:
        api.fault("operations is missing: name the operations that become tools")
    if document is None or operations is None or api.failed:
        return
    server = api.text("server", document.server)
    hosts, private = _hosts(api, "hosts"), _hosts(api, "private_hosts")
    place = _Place(document, server, credential, hosts or _own(server, private), private)
    for name in operations.value:
        section = operations.inner(name)
        if section is None or not tool.fullmatch(name):
            operations.fault("a tool needs a name in lower case, and a mapping", name)
            continue
        entry = _operation(section, place)
        if entry is not None:
            yield entry


@dataclass(frozen=True, slots=True)
class _Place:
    """What all operations of one API share."""

    document: Document
    server: str
    credential: Credential | None
    hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]


def _document(api: Section, documents: Mapping[str, str]) -> Document | None:
    name = api.text("document", None, _FILE, "the name of a .json or .yaml file beside this one")
    if api.failed:
        return None
    text = documents.get(name)
    if text is None:
        api.fault(f"the document {name} is not there", "document")
        return None
    try:
        value = (
            openapi.parse_json(text)
            if name.endswith(".json")
            else read(text, openapi.MAX_DOCUMENT_BYTES).value
        )
        return openapi.read_document(name, text.encode(), value)
    except YamlError as fault:
        api.fault(f"{name}, {fault}", "document")
    except DocumentError as fault:
        api.fault(f"{name}: {fault.sentence}", "document")
    except (ValueError, RecursionError) as fault:
        api.fault(f"{name} is no JSON: {str(fault)[:160]}", "document")
    return None


def _credential(api: Section) -> Credential | None:
    section = api.inner("credential")
    if section is None:
        return None
    kinds = [kind for kind in ("bearer", "basic", "header", "query") if section.has(kind)]
    if len(kinds) != 1:
        section.fault("give one of bearer, basic, header, query")
        return None
    kind = kinds[0]
    if kind in ("bearer", "basic"):
        section.only(kind)
        return Credential(kind, section.text(kind, None, _REFERENCE, _SECRET))
    section.only(kind, "secret")
    name = section.text(kind)
    if kind == "header" and not openapi.is_header(name):
        section.fault("a header of this name cannot be set", kind)
    return Credential(kind, section.text("secret", None, _REFERENCE, _SECRET), name)


def _hosts(api: Section, key: str) -> tuple[str, ...]:
    hosts = api.words(key, _HOST)
    if key == "private_hosts" and any(":" not in host.rpartition("]")[2] for host in hosts):
        api.fault("give each as host:port", key)
    return hosts


def _own(server: str, private: tuple[str, ...]) -> tuple[str, ...]:
    """The server's own host, where the file names none and it is not a private one."""
    try:
        url = urlsplit(server)
        named = url.netloc if url.port else url.hostname or ""
    except ValueError:
        return ()
    return () if named in private or not named else (named,)


def _operation(section: Section, place: _Place) -> OperationEntry | None:
    section.only(
        "operation", "effect", "tier", "labels", "roles", "idempotent", "idempotency_header",
        "timeout_s", "max_result_bytes", "reread", "description",
    )  # fmt: skip
    wanted, header = section.text("operation"), section.text("idempotency_header", "")
    if header and not openapi.is_header(header):
        section.fault("a header of this name cannot be set", "idempotency_header")
    effect = section.choice("effect", ("read", "write"), "")
    if section.failed:
        return None
    try:
        found = openapi.operation(
            place.document, wanted, taken_headers=_taken(place, header), taken_query=_query(place)
        )
    except DocumentError as fault:
        where = ".".join(map(str, fault.place))
        section.fault(f"{place.document.name}, {where}: {fault.sentence}", "operation")
        return None
    operation = HttpOperation(
        document=place.document.name,
        document_sha256=place.document.sha256,
        operation=found.key,
        method=found.method,
        server=place.server,
        path=found.path,
        parts=found.parts,
        credential=place.credential,
        hosts=place.hosts,
        private_hosts=place.private_hosts,
        idempotency_header=header,
        file=found.file,
    )
    return _defined(section, operation, _contract(section, found, effect))


def _taken(place: _Place, header: str) -> frozenset[str]:
    credential = place.credential
    own = {credential.name.lower()} if credential and credential.kind == "header" else set()
    return frozenset({*own, *({header.lower()} if header else ())})


def _query(place: _Place) -> frozenset[str]:
    credential = place.credential
    return frozenset({credential.name} if credential and credential.kind == "query" else ())


def _contract(section: Section, found: openapi.Operation, effect: str) -> http.Contract:
    default_tier = 1 if effect == "read" else 3
    return http.Contract(
        name=section.name,
        description=section.text("description", found.description or found.key),
        parameters=found.parameters,
        result=found.result,
        effect=effect,
        tier=section.whole("tier", 0, MAX_TIER, default=default_tier),
        labels=frozenset(section.words("labels", _LABEL)),
        roles=_roles(section),
        idempotent=section.flag("idempotent") if section.has("idempotent") else False,
        timeout_s=section.number("timeout_s") if section.has("timeout_s") else DEFAULT_TIMEOUT_S,
        max_result_bytes=section.whole("max_result_bytes", 1, default=DEFAULT_RESULT_BYTES),
        reread=section.choice("reread", ("journal", "on_apply"), "journal"),
    )


def _roles(section: Section) -> dict[str, str]:
    roles = section.inner("roles")
    value: dict[str, Any] = roles.value if roles is not None else {}
    if roles is not None and not all(isinstance(role, str) for role in value.values()):
        roles.fault("it must be a mapping of argument to role")
        return {}
    return dict(value)


def _defined(
    section: Section, operation: HttpOperation, contract: http.Contract
) -> OperationEntry | None:
    if section.failed:
        return None
    if len(operation.target) > MAX_TARGET_CHARS:
        section.fault(f"its address has more than {MAX_TARGET_CHARS} characters", "operation")
        return None
    try:
        return OperationEntry(section.name, http.define(contract, operation), operation)
    except ToolDefinitionError as fault:
        section.fault(str(fault))
    return None
