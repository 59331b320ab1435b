"""An operation of an HTTP service as a tool: what its version pins, and the definition from it.

Everything that decides where a call goes and what it says is in `HttpOperation`, is stored in the
tool's version and is covered by its hash: method, URL, hosts, the document it was read from, how
the credential is referred to. Nothing of it is read from the document again at run time.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pydantic

from agents.tools.decorator import check_definition
from agents.tools.definition import MISSING, Argument, Effect, ToolDefinition
from agents.tools.errors import ToolDefinitionError
from agents.tools.http_call import perform
from agents.tools.http_request import Credential, HttpOperation
from agents.tools.openapi import CONTEXT, Part
from agents.tools.outbound import HostRefused, Reach

KIND = "http"

_ANY: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(Any)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a tool version says beside its operation; the columns that all kinds share."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]
    effect: str
    tier: int
    labels: frozenset[str]
    roles: Mapping[str, str]
    idempotent: bool
    timeout_s: float
    max_result_bytes: int
    reread: str


def define(contract: Contract, operation: HttpOperation) -> ToolDefinition:
    """The tool that calls the operation.

    Raises:
        ToolDefinitionError: it cannot be one as it is described; says what to change.
    """
    effect = Effect(contract.effect)
    repeatable = contract.idempotent or effect is Effect.READ
    properties = contract.parameters["properties"]

    def call(**values: Any) -> Any:  # noqa: ANN401 - JSON
        context = values.pop(CONTEXT)
        return perform(
            operation,
            values,
            context,
            writes=effect is Effect.WRITE,
            repeatable=repeatable,
            timeout_s=contract.timeout_s,
            max_bytes=contract.max_result_bytes,
        )

    definition = ToolDefinition(
        name=contract.name,
        description=contract.description,
        parameters=contract.parameters,
        result=contract.result,
        effect=effect,
        tier=contract.tier,
        labels=contract.labels,
        roles=contract.roles,
        idempotent=contract.idempotent,
        timeout_s=contract.timeout_s,
        max_result_bytes=contract.max_result_bytes,
        reread=contract.reread,
        import_path=operation.target,
        arguments=tuple(
            Argument(part.argument, properties[part.argument].get("default", MISSING), _ANY)
            for part in operation.parts
        ),
        context_parameter=CONTEXT,
        source=json.dumps(operation.to_json(), sort_keys=True),
        function=call,
    )
    check_definition(definition)
    check_operation(definition, operation)
    return definition


def check_operation(definition: ToolDefinition, operation: HttpOperation) -> None:
    """Checks what only tools over HTTP have.

    Raises:
        ToolDefinitionError: says what to change.
    """
    name = definition.name
    by_itself = operation.method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
    if definition.idempotent and not by_itself and not operation.idempotency_header:
        raise ToolDefinitionError(
            f"{name}: a {operation.method} is not idempotent by itself; "
            "name the idempotency_header in which the service takes a key"
        )
    check_server(operation.server, operation.reach)


def check_server(server: str, reach: Reach) -> None:
    """Checks that a server's URL is one that tools may call.

    Raises:
        ToolDefinitionError: says what to change.
    """
    try:
        url = urlsplit(server)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        raise ToolDefinitionError(f"{server!r:.200} is no URL") from None
    host = url.hostname or ""
    if url.scheme not in ("https", "http") or not host:
        raise ToolDefinitionError(f"{server!r:.200} is no address to call; give server: https://…")
    if url.username is not None or url.password is not None:
        raise ToolDefinitionError("a server's URL must hold no user name; give a credential")
    if url.query or url.fragment or re.search(r"[{}\\\s%]|/\.\.?(?:/|$)", server):
        raise ToolDefinitionError(
            f"{server!r:.200} must be scheme, host and path only, without variables"
        )
    if not _is_host(host):
        raise ToolDefinitionError(f"{host!r:.200} is no host name and no plain IP address")
    if url.scheme == "http" and f"{host}:{port}" not in reach.private:
        raise ToolDefinitionError(
            f"{host} is called without TLS; use https, or list {host}:{port} under private_hosts"
        )
    try:
        reach.check_host(host, port)
    except HostRefused as refused:
        raise ToolDefinitionError(str(refused)) from None


def _is_host(host: str) -> bool:
    """A host name in ASCII, or an IP address as it is written; 2130706433 is neither."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        numeric = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]) is not None
        return len(host) <= 253 and not numeric and all(map(_LABEL.fullmatch, labels))
    return True


def load(contract: Contract, stored: Mapping[str, Any]) -> ToolDefinition:
    """The tool of a stored version.

    Raises:
        ToolDefinitionError: what is stored is no operation.
    """
    try:
        operation = operation_of(stored)
    except (KeyError, TypeError, ValueError) as fault:
        raise ToolDefinitionError(f"{contract.name}: its operation is not readable") from fault
    return define(contract, operation)


def operation_of(stored: Mapping[str, Any]) -> HttpOperation:
    """An operation from its JSON form."""
    credential = stored["credential"]
    return HttpOperation(
        document=stored["document"],
        document_sha256=stored["document_sha256"],
        operation=stored["operation"],
        method=stored["method"],
        server=stored["server"],
        path=stored["path"],
        parts=tuple(Part(**part) for part in stored["parts"]),
        credential=Credential(**credential) if credential else None,
        hosts=tuple(stored["hosts"]),
        private_hosts=tuple(stored["private_hosts"]),
        idempotency_header=stored["idempotency_header"],
        file=stored["file"],
    )
