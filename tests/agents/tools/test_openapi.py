"""Tools from OpenAPI documents: what they become, and how what cannot be one is named."""

import json

import pytest
import yaml

from agents.registry.format import RegisterError, parse
from agents.tools import http
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolArgumentError, ToolFailed
from agents.tools.http import operation_of
from agents.tools.http_request import write
from agents.tools.invoke import validate_arguments
from agents.tools.stubs import render
from tests.agents.tools.http_service import DOCUMENT, Service, context, register_text, tools

SERVICE = Service(port=8080)


def contract(entry: ToolDefinition) -> http.Contract:
    names = http.Contract.__dataclass_fields__
    return http.Contract(**{name: getattr(entry, name) for name in names})


def fault(text: str, document: str = DOCUMENT) -> str:
    with pytest.raises(RegisterError) as raised:
        tools(text, document)
    return str(raised.value)


def with_operation(line: str) -> str:
    return register_text(SERVICE).split("      get_invoice")[0] + f"      it: {line}\n"


def document(**changes: object) -> str:
    return yaml.safe_dump({**yaml.safe_load(DOCUMENT), **changes})


def test_parameters_become_one_schema_of_arguments() -> None:
    definition = tools(register_text(SERVICE))["get_invoice"].definition
    properties = definition.parameters["properties"]
    assert [argument.name for argument in definition.arguments] == [
        "id", "fields", "tag", "filter", "query_id", "X_Trace",
    ]  # fmt: skip
    assert definition.parameters["required"] == ["id"]
    assert properties["query_id"] == {
        "type": ["integer", "null"],
        "exclusiveMinimum": 0,
        "description": "Another id.",
        "default": None,
    }
    assert definition.result["properties"]["note"] == {"type": ["string", "null"]}
    assert "maximum" not in definition.result["properties"]["total"]


def test_a_body_becomes_arguments_without_what_only_comes_back() -> None:
    definition = tools(register_text(SERVICE))["create_payment"].definition
    names = [argument.name for argument in definition.arguments]
    assert names == ["account", "amount", "from_", "purpose"]
    assert definition.result["properties"] == {"id": {"type": "string"}}
    assert "def create_payment(account: str, amount: int" in render(definition)


def test_a_call_is_written_as_the_document_says() -> None:
    entry = tools(register_text(SERVICE))["get_invoice"]
    arguments = {"fields": ["a", "b"], "tag": ["x y", "z"], "filter": {"state": "open"}}
    wire = write(entry.operation, {"id": "7", "X_Trace": "abc", **arguments}, context())
    assert wire.target.decode() == (
        "/v1/invoices/7?fields=a%2Cb&tag=x%20y&tag=z&filter%5Bstate%5D=open"
    )
    headers = dict(wire.headers)
    assert headers[b"X-Trace"] == b"abc"
    assert headers[b"Authorization"].startswith(b"Bearer ")
    assert wire.body is None


def test_a_body_is_json_and_null_is_not_sent() -> None:
    entry = tools(register_text(SERVICE))["create_payment"]
    checked = validate_arguments(entry.definition, {"account": "DE1", "amount": 5, "from_": "me"})
    assert checked["purpose"] is None
    wire = write(entry.operation, checked, context())
    assert json.loads(wire.body or b"") == {"account": "DE1", "amount": 5, "from": "me"}
    assert dict(wire.headers)[b"Idempotency-Key"] == b"key-1"


@pytest.mark.parametrize(
    "arguments",
    [
        {"account": "DE1"},
        {"account": "DE1", "amount": 0},
        {"account": "DE1", "amount": 1, "number": "7"},
        {"account": "DE1", "amount": 1, "purpose": "x" * 141},
    ],
)
def test_arguments_are_held_against_the_document(arguments: dict[str, object]) -> None:
    entry = tools(register_text(SERVICE))["create_payment"]
    with pytest.raises(ToolArgumentError):
        validate_arguments(entry.definition, arguments)


def test_the_version_is_told_by_document_and_operation() -> None:
    text = register_text(SERVICE)
    first = tools(text)["get_invoice"]
    assert tools(text)["get_invoice"].definition.digest == first.definition.digest
    changed = tools(text, DOCUMENT + "\n# a word more\n")["get_invoice"]
    assert changed.definition.digest != first.definition.digest
    other = tools(register_text(SERVICE, credential="{bearer: env:OTHER}"))["get_invoice"]
    assert other.definition.digest != first.definition.digest


def test_what_is_stored_gives_the_same_tool_back() -> None:
    for entry in tools(register_text(SERVICE)).values():
        stored = json.loads(json.dumps(entry.operation.to_json(), sort_keys=True))
        assert operation_of(stored) == entry.operation
        again = http.load(contract(entry.definition), stored)
        assert again.digest == entry.definition.digest


def test_a_result_that_contains_itself_is_open_and_an_argument_is_refused() -> None:
    read = tools(with_operation("{operation: readTree, effect: read}"))["it"].definition
    assert read.result["properties"]["children"]["items"] == {}
    said = fault(with_operation("{operation: plantTree, effect: write}"))
    assert "contains itself" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{operation: nope, effect: read}", "there is no operation 'nope'; known: getInvoice"),
        ("{operation: getInvoice}", "it must be one of: read, write"),
        ("{operation: elsewhere, effect: read}", "leaves the document"),
        ("{operation: sendForm, effect: write}", "x-www-form-urlencoded is not sent"),
        ("{operation: createPayment, effect: write, idempotent: true}", "not idempotent by itself"),
        ("{operation: getInvoice, effect: read, roles: {nobody: x}}", "which is no argument"),
        ("{operation: getInvoice, effect: read, tier: 9}", "0 to 4"),
        ("{operation: getInvoice, effect: read, timeout_s: 9999}", "timeout_s must be positive"),
        ("{operation: getInvoice, effect: read, timeut_s: 3}", "there is no such field"),
        ("{operation: getInvoice, effect: read, idempotency_header: Host}", "cannot be set"),
    ],
)
def test_a_fault_names_line_and_operation(line: str, words: str) -> None:
    said = fault(with_operation(line))
    assert words in said
    assert said.startswith("line 9: apis.ledger.operations.it")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (document(openapi="3.2.0"), "'3.2.0' is not read"),
        (document(openapi=None, swagger="2.0"), "Swagger 2.0"),
        ("openapi: 3.0.3\npaths: {", "ledger.yaml, line"),
        ("openapi: 3.0.3\npaths: &a {}\nx: *a", "anchors"),
        ("[]", "no OpenAPI document"),
    ],
)
def test_a_document_that_cannot_be_read_is_named(text: str, words: str) -> None:
    assert words in fault(register_text(SERVICE), text)


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ("{bearer: s3cret}", "never the secret"),
        ("{bearer: env:A, basic: env:B}", "give one of"),
        ("{header: Content-Length, secret: env:A}", "cannot be set"),
        ("{header: X-Key}", "secret is missing"),
    ],
)
def test_a_credential_is_a_reference(credential: str, words: str) -> None:
    assert words in fault(register_text(SERVICE, credential=credential))


@pytest.mark.parametrize(
    ("credential", "header", "asked"),
    [
        ("{basic: env:A}", b"Basic bWU6cHc=", b"/v1/invoices/1"),
        ("{header: X-Key, secret: env:A}", b"me:pw", b"/v1/invoices/1"),
        ("{query: key, secret: env:A}", None, b"/v1/invoices/1?key=me%3Apw"),
    ],
)
def test_each_kind_of_credential(credential: str, header: bytes | None, asked: bytes) -> None:
    entry = tools(register_text(SERVICE, credential=credential))["get_invoice"]
    wire = write(entry.operation, {"id": "1"}, context(secret="me:pw"))
    headers = dict(wire.headers)
    assert headers.get(b"Authorization", headers.get(b"X-Key")) == header
    assert wire.target == asked


def test_a_json_document_with_a_key_given_twice_is_refused() -> None:
    text = register_text(SERVICE).replace("ledger.yaml", "ledger.json")
    with pytest.raises(RegisterError, match="given twice"):
        parse(text, documents={"ledger.json": '{"openapi": "3.1.0", "paths": {}, "paths": {}}'})


def test_an_argument_that_cannot_be_said_in_a_header_never_leaves() -> None:
    entry = tools(register_text(SERVICE))["get_invoice"]
    with pytest.raises(ToolArgumentError):
        validate_arguments(entry.definition, {"id": "1", "X_Trace": "a\r\nX: 1"})
    with pytest.raises(ToolFailed, match="plain text in one line"):
        write(entry.operation, {"id": "1", "X_Trace": "a\r\nX: 1"}, context())
