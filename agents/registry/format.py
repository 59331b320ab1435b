"""The file from which models, tools and agents are registered: its format and its checks. Pure.

One YAML (or JSON) file; every mapping is `name: what it is`. Nothing is registered if anything in
the file is wrong, and every fault is named with its line::

    models:
      large:
        base_url: https://models.example/v1
        model: large-2026            # its name there; for Azure the deployment
        api_key: env:MODEL_KEY       # a reference, never the key; absent: no key
        kind: openai                 # or azure, with api_version
        price: {input: 2.50, output: 10, currency: EUR}     # per million tokens
        labels: [confidential]       # what may be sent there
        context_tokens: 128000       # also: max_output_tokens, timeout_s, deadline_s,
                                     # max_attempts, max_wait_s, streaming, unsupported
    tools:
      list_invoices: {function: "countersign.demo.tools:list_invoices"}
      pay: "countersign.demo.tools:create_payment"          # the short form

    apis: {}                         # tools over HTTP from an OpenAPI document; see `apis`

    agents:
      Accounts payable:
        description: Matches the week's invoices and prepares payments.
        instructions: |
          You prepare payments ...
        goal: Match the invoices of the week and prepare the payments.   # where a run says none
        model: large                 # of this file or registered before
        tools: [list_invoices, pay]  # the same
        imports: [math, decimal]     # beyond what the policy's standard list allows
        mode: code                   # or tool_calling
        agency: 3                    # 0 processor, 1 router, 2 tool call, 3 multi-step
        runtime: stdlib
        limits: {steps: 20, tokens: 400000}
        budgets:                     # what its effects of a day (UTC) may add up to
          per_day: {writes: 50, recipients: 20, amounts: {EUR: 50000}}
          workspace_per_day: {amounts: {EUR: 90000}}     # with those of all other agents
                                     # crossing one stops; with `over: sign` in it, the policy says
                                     # who may sign for more
        inputs:                      # JSON Schema; a run's form is made from it
          type: object
          required: [week]
          properties:
            week: {type: string, title: Week, description: "ISO week, such as 2026-W47"}
        checks:                      # what must be true of the answer
          - says: The answer names the number of payments.
            schema: {type: object, required: [payments]}

What is registered is immutable: the same content again changes nothing, other content is the next
version. `content()` of an entry is what its version is told by.
"""

import keyword
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from agents.budgets.effects import Budget
from agents.budgets.limits import Limits
from agents.errors import LimitsInvalid
from agents.llm.endpoint import EndpointError, EndpointKind, EndpointSpec
from agents.registry import apis
from agents.registry.apis import OperationEntry
from agents.registry.section import Fault, Section
from agents.registry.text import YamlError, read

MAX_FAULTS = 50
MAX_AGENCY = 3
MODES = ("code", "tool_calling")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,98}[A-Za-z0-9])?")
_TOOL = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_IMPORT_PATH = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)*:[A-Za-z]\w*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_REFERENCE = re.compile(r"[a-z][a-z0-9]{1,20}:\S{1,279}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_SETTINGS = (
    "api_version",
    "context_tokens",
    "max_output_tokens",
    "timeout_s",
    "deadline_s",
    "max_attempts",
    "max_wait_s",
    "streaming",
    "unsupported",
)
_OPTIONAL_PARAMETERS = ("stop", "temperature", "max_tokens", "stream_options")
_FIELD_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
_TAKEN = frozenset({"final_answer", "print", "inputs"})


class RegisterError(ValueError):
    """The file cannot be registered; all its faults, in the order of their lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model endpoint; `settings` holds the other fields of `EndpointSpec` that were given."""

    name: str
    kind: str
    base_url: str
    model: str
    api_key_ref: str
    labels: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "base_url": self.base_url,
            "model": self.model,
            "api_key_ref": self.api_key_ref,
            "labels": list(self.labels),
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool by its import path `module:function`; its content is the definition's digest."""

    name: str
    function: str


@dataclass(frozen=True, slots=True)
class SuccessCheck:
    """What must be true of an answer: it fits the schema. `says` tells agent and people so."""

    says: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent. `model` and `tools` are names; `inputs` is a closed JSON Schema of one object."""

    name: str
    description: str
    instructions: str
    goal: str
    model: str
    tools: tuple[str, ...]
    imports: tuple[str, ...]
    mode: str
    agency: int
    runtime: str
    limits: Mapping[str, int]
    budgets: Mapping[str, Any]
    inputs: Mapping[str, Any]
    checks: tuple[SuccessCheck, ...]

    def content(self) -> dict[str, Any]:
        """What the version is told by, with the names still to be resolved to versions."""
        return {
            "description": self.description,
            "instructions": self.instructions,
            "goal": self.goal,
            "imports": list(self.imports),
            "mode": self.mode,
            "agency": self.agency,
            "runtime": self.runtime,
            "limits": dict(self.limits),
            "budgets": dict(self.budgets),
            "inputs": dict(self.inputs),
            "checks": [{"says": check.says, "schema": dict(check.schema)} for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class RegisterFile:
    models: tuple[ModelEntry, ...]
    tools: tuple[ToolEntry, ...]
    agents: tuple[AgentEntry, ...]
    operations: tuple[OperationEntry, ...] = ()


def parse(
    text: str,
    *,
    known_models: Collection[str] = (),
    known_tools: Collection[str] = (),
    documents: Mapping[str, str] | None = None,
) -> RegisterFile:
    """Everything a file registers.

    Args:
        text: YAML or JSON.
        known_models: names registered before, which agents may use as well.
        known_tools: the same for tools.
        documents: text of the OpenAPI documents that stand beside the file, by file name.

    Raises:
        RegisterError: with every fault found.
    """
    try:
        found = read(text)
    except YamlError as fault:
        raise RegisterError([Fault(fault.line, "", fault.sentence)]) from None
    faults: list[Fault] = []
    top = Section(found, (), found.value, faults)
    top.only("models", "tools", "agents", "apis")
    models = tuple(_model(entry) for entry in top.entries("models", _NAME))
    tools = tuple(_tool(entry) for entry in top.entries("tools", _TOOL, short=True))
    operations = tuple(apis.entries(top, _TOOL, documents or {}))
    _once(top, tools, operations)
    usable = _Usable(
        frozenset({model.name for model in models} | set(known_models)),
        frozenset(
            {tool.name for tool in tools} | {each.name for each in operations} | set(known_tools)
        ),
    )
    agents = tuple(_agent(entry, usable) for entry in top.entries("agents", _NAME))
    if not faults and not (models or tools or operations or agents):
        top.fault("the file registers nothing: give models, tools, apis or agents")
    if faults:
        raise RegisterError(faults[:MAX_FAULTS])
    return RegisterFile(models, tools, agents, operations)


def _once(top: Section, tools: Sequence[ToolEntry], operations: Sequence[OperationEntry]) -> None:
    names = [*(tool.name for tool in tools), *(entry.name for entry in operations)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        top.fault(f"two tools are named {name}")


@dataclass(frozen=True, slots=True)
class _Usable:
    models: frozenset[str]
    tools: frozenset[str]


def _model(entry: Section) -> ModelEntry:
    entry.only("base_url", "model", "api_key", "kind", "price", "labels", *_SETTINGS)
    settings = {**_price(entry), **_settings(entry)}
    made = ModelEntry(
        name=entry.name,
        kind=entry.choice("kind", [kind.value for kind in EndpointKind], "openai"),
        base_url=entry.text("base_url"),
        model=entry.text("model"),
        api_key_ref=entry.text(
            "api_key", "", _REFERENCE, "a reference such as env:NAME or file:/path, never the key"
        ),
        labels=entry.words("labels", _LABEL),
        settings=settings,
    )
    if not entry.failed:
        try:
            endpoint_spec(made)
        except (EndpointError, TypeError) as fault:
            entry.fault(str(fault))
    return made


def endpoint_spec(entry: ModelEntry) -> EndpointSpec:
    """The entry as the client takes it.

    Raises:
        EndpointError: it cannot work.
    """
    settings = dict(entry.settings)
    unsupported = frozenset(settings.pop("unsupported", ()))
    return EndpointSpec(
        base_url=entry.base_url,
        model=entry.model,
        api_key_ref=entry.api_key_ref,
        kind=EndpointKind(entry.kind),
        unsupported=unsupported,
        **settings,
    )


def _price(entry: Section) -> dict[str, Any]:
    price = entry.inner("price")
    if price is None:
        return {}
    price.only("input", "output", "currency")
    currency = price.text("currency", "USD", _CURRENCY, "three capital letters such as EUR")
    return {
        "price_in_micros_per_mtok": price.micros("input"),
        "price_out_micros_per_mtok": price.micros("output"),
        "currency": currency,
    }


def _settings(entry: Section) -> dict[str, Any]:
    """The endpoint's other fields, those that are given."""
    readers: dict[str, Callable[[str], Any]] = {
        "api_version": entry.text,
        "streaming": entry.flag,
        "unsupported": lambda key: sorted(entry.choices(key, _OPTIONAL_PARAMETERS)),
        "timeout_s": entry.number,
        "deadline_s": entry.number,
        "max_wait_s": entry.number,
        "context_tokens": entry.count,
        "max_output_tokens": entry.count,
        "max_attempts": entry.count,
    }
    return {key: readers[key](key) for key in _SETTINGS if entry.has(key)}


def _tool(entry: Section) -> ToolEntry:
    if isinstance(entry.value, str):
        function = entry.value
    else:
        entry.only("function")
        function = entry.text("function")
    if function and not _IMPORT_PATH.fullmatch(function):
        entry.fault(f"{function[:80]!r} is no import path such as package.tools:function")
    if entry.name in _TAKEN or keyword.iskeyword(entry.name):
        entry.fault(f"a tool cannot be named {entry.name}")
    return ToolEntry(entry.name, function)


def _agent(entry: Section, usable: _Usable) -> AgentEntry:
    entry.only(
        "description", "instructions", "goal", "model", "tools", "imports", "mode", "agency",
        "runtime", "limits", "budgets", "inputs", "checks",
    )  # fmt: skip
    tools = entry.words("tools", _TOOL)
    for name in tools:
        if name not in usable.tools:
            entry.fault(f"there is no tool {name}", "tools")
    model = entry.text("model")
    if model and model not in usable.models:
        entry.fault(f"there is no model {model}", "model")
    return AgentEntry(
        name=entry.name,
        description=entry.text("description", ""),
        instructions=entry.text("instructions").strip(),
        goal=entry.text("goal", "").strip(),
        model=model,
        tools=tools,
        imports=entry.words("imports", _MODULE),
        mode=entry.choice("mode", MODES, "code"),
        agency=entry.whole("agency", 0, MAX_AGENCY, default=3),
        runtime=entry.text("runtime", "stdlib"),
        limits=_limits(entry),
        budgets=_budgets(entry),
        inputs=_inputs(entry, tools),
        checks=tuple(_checks(entry)),
    )


def _limits(entry: Section) -> dict[str, int]:
    limits = entry.inner("limits")
    if limits is None:
        return Limits().to_json()
    try:
        return Limits.from_json(limits.value).to_json()
    except LimitsInvalid as fault:
        limits.fault(str(fault))
    return {}


def _budgets(entry: Section) -> dict[str, Any]:
    budgets = entry.inner("budgets")
    if budgets is None:
        return {}
    budgets.only("per_day", "workspace_per_day")
    for key in budgets.value:
        part = budgets.inner(key)
        try:
            Budget.from_json(part.value if part is not None else {})
        except LimitsInvalid as fault:
            (part or budgets).fault(str(fault))
    return dict(budgets.value)


def _inputs(entry: Section, tools: Sequence[str]) -> dict[str, Any]:
    """The inputs' schema, closed. Each input becomes a variable, so its name must be one."""
    inputs = entry.inner("inputs")
    if inputs is None:
        return {"type": "object", "properties": {}, "additionalProperties": False, "x-order": []}
    inputs.only("type", "required", "properties", "title", "description", "additionalProperties")
    if inputs.value.get("type") != "object":
        inputs.fault("inputs must be a JSON Schema with type: object")
    properties = inputs.inner("properties")
    for name in properties.value if properties is not None else ():
        _input(properties, name, tools)
    names = set(properties.value) if properties is not None else set()
    required = inputs.value.get("required", [])
    unknown = [name for name in required if name not in names] if isinstance(required, list) else []
    if unknown:
        inputs.fault(f"required names {unknown[0]}, which is no property", "required")
    _check_schema(inputs, inputs.value)
    # A database may keep the keys of an object in another order than people wrote them.
    order = list(properties.value) if properties is not None else []
    return {**inputs.value, "additionalProperties": False, "x-order": order}


def _input(properties: Section | None, name: str, tools: Sequence[str]) -> None:
    part = properties.inner(name) if properties is not None else None
    if part is None:
        return
    taken = name in tools or name in _TAKEN or name.startswith("__")
    if not name.isidentifier() or keyword.iskeyword(name) or taken:
        part.fault("an input becomes a variable of this name: choose another")
    if part.value.get("writeOnly") or part.value.get("format") == "password":
        part.fault("inputs are shown to the model: give secrets to tools by reference instead")
    if "enum" not in part.value and part.value.get("type") not in _FIELD_TYPES:
        part.fault(f"its type must be one of: {', '.join(sorted(_FIELD_TYPES))}")
    if "default" in part.value and _is_schema(part.value):
        errors = list(Draft202012Validator(part.value).iter_errors(part.value["default"]))
        if errors:
            part.fault(f"its default does not fit: {errors[0].message[:120]}", "default")


def _checks(entry: Section) -> Iterator[SuccessCheck]:
    for check in entry.items("checks"):
        check.only("says", "schema")
        schema = check.inner("schema")
        if schema is None:
            check.fault("a check needs a schema that the answer must fit")
            continue
        _check_schema(schema, schema.value)
        yield SuccessCheck(check.text("says"), schema.value)


def _check_schema(section: Section, schema: Mapping[str, Any]) -> None:
    if "$ref" in str(schema):
        section.fault("a schema must not refer elsewhere ($ref); write it out")
        return
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as fault:
        section.fault(f"it is no JSON Schema: {fault.message[:160]}")


def _is_schema(schema: Mapping[str, Any]) -> bool:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return False
    return "$ref" not in str(schema)
