"""What a file would make of what is registered now: its versions, and how each differs.

Planning writes nothing. The same file planned twice gives the same plan as long as nothing that it
builds on has changed: neither the newest versions of what it names nor the code of its tools. A
change is signed as its plan, and planned again when it is made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import models

from agents.errors import Refused
from agents.models import AgentVersion, ModelEndpoint, ToolVersion
from agents.registry import format as register_format
from agents.registry.apis import OperationEntry
from agents.registry.format import AgentEntry, ModelEntry, RegisterError, ToolEntry
from agents.tools import http
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolImportError
from agents.tools.registry import load
from audit import canonical

TOOL, MODEL, AGENT = "tool", "model", "agent"
_APART = frozenset(
    {"id", "workspace_id", "tool_id", "agent_id", "endpoint_id", "name", "number", "digest"}
    | {"author_id", "registered_by", "registration_id", "created"}
)
"""Columns of a version that are not its content: who it is, and who made it."""


@dataclass(frozen=True)
class Planned:
    """A version that would be made.

    Attributes:
        before: digest of the newest version now; "" where there is none.
        content: its columns, as they will be stored.
        old: the columns of the newest version now; empty where there is none.
        uses: of an agent: the digests of its model and, by name, of its tools.
        old_uses: the same of the newest version now.
    """

    kind: str
    name: str
    number: int
    digest: str
    before: str
    content: Mapping[str, Any]
    old: Mapping[str, Any] = field(default_factory=dict)
    uses: Mapping[str, Any] = field(default_factory=dict)
    old_uses: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.name} v{self.number}"

    def to_json(self) -> dict[str, Any]:
        """What is signed of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "number": self.number,
            "digest": self.digest,
            "before": self.before,
            "content": dict(self.content),
            "uses": dict(self.uses),
        }


@dataclass
class Plan:
    """`versions` in the order in which they can be made; `unchanged` as lines for people."""

    versions: list[Planned] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted({version.kind for version in self.versions}))

    def to_json(self) -> list[dict[str, Any]]:
        return [version.to_json() for version in self.versions]


def plan(text: str, documents: Mapping[str, str] | None = None) -> Plan:
    """What registering `text` would make, in the open workspace.

    Args:
        documents: text of the OpenAPI documents that it names, by file name.

    Raises:
        Refused: the file is not right; names every fault with its line.
    """
    known_models = ModelEndpoint.objects.order_by().values_list("name", flat=True).distinct()
    known_tools = ToolVersion.objects.order_by().values_list("tool__name", flat=True).distinct()
    try:
        wanted = register_format.parse(
            text,
            known_models=set(known_models),
            known_tools=set(known_tools),
            documents=documents,
        )
    except RegisterError as error:
        raise Refused(str(error)) from error
    work = _Planner()
    for model in wanted.models:
        work.endpoint(model)
    for tool in wanted.tools:
        work.tool(tool)
    for operation in wanted.operations:
        work.operation(operation)
    for agent in wanted.agents:
        work.agent(agent)
    return work.plan


@dataclass
class _Planner:
    plan: Plan = field(default_factory=Plan)

    def endpoint(self, entry: ModelEntry) -> None:
        content = entry.content()
        row = ModelEndpoint(name=entry.name, **content)
        newest = ModelEndpoint.objects.filter(name=entry.name).order_by("-number").first()
        # An agent is tied to its model by this hash, and stopped by the model's name.
        digest = canonical.digest({"name": entry.name, **content})
        if newest is not None and newest.digest == canonical.digest(content):
            digest = _still_alone(newest, digest)
        self._add(MODEL, entry.name, digest, row, newest)

    def tool(self, entry: ToolEntry) -> None:
        self._tool(_definition(entry))

    def operation(self, entry: OperationEntry) -> None:
        stored = {**entry.operation.to_json(), "reread": entry.definition.reread}
        self._tool(entry.definition, kind=http.KIND, operation=stored)

    def _tool(self, definition: ToolDefinition, **own: Any) -> None:  # noqa: ANN401 - columns
        row = ToolVersion(
            **own,
            target=definition.import_path,
            description=definition.description,
            parameters=dict(definition.parameters),
            result=dict(definition.result),
            effect=definition.effect.value,
            tier=definition.tier,
            labels=sorted(definition.labels),
            roles=dict(definition.roles),
            idempotent=definition.idempotent,
            timeout_s=definition.timeout_s,
            max_result_bytes=definition.max_result_bytes,
        )
        self._add(TOOL, definition.name, definition.digest, row, newest_tool(definition.name))

    def agent(self, entry: AgentEntry) -> None:
        uses = {
            "model": self._digest(MODEL, entry.model),
            "tools": {name: self._digest(TOOL, name) for name in entry.tools},
        }
        content = {**entry.content(), **uses}
        if not entry.budgets:
            del content["budgets"]
        row = AgentVersion(**entry.content())
        newest = AgentVersion.objects.filter(agent__name=entry.name).order_by("-number").first()
        self._add(AGENT, entry.name, canonical.digest(content), row, newest, uses)

    def _add(
        self,
        kind: str,
        name: str,
        digest: str,
        row: models.Model,
        newest: ModelEndpoint | ToolVersion | AgentVersion | None,
        uses: Mapping[str, Any] | None = None,
    ) -> None:
        if newest is not None and newest.digest == digest:
            self.plan.unchanged.append(f"{kind} {name} v{newest.number}")
            return
        self.plan.versions.append(
            Planned(
                kind=kind,
                name=name,
                number=newest.number + 1 if newest else 1,
                digest=digest,
                before=newest.digest if newest else "",
                content=columns(row),
                old=columns(newest) if newest else {},
                uses=uses or {},
                old_uses=uses_of(newest) if isinstance(newest, AgentVersion) else {},
            )
        )

    def _digest(self, kind: str, name: str) -> str:
        """Of the version that will be the newest once the plan is made."""
        for version in self.plan.versions:
            if (version.kind, version.name) == (kind, name):
                return version.digest
        if kind == TOOL:
            found: ToolVersion | ModelEndpoint | None = newest_tool(name)
        else:
            found = ModelEndpoint.objects.filter(name=name).order_by("-number").first()
        if found is None:
            raise Refused(f"There is no {kind} {name}.")
        return found.digest


def _still_alone(stored: ModelEndpoint, digest: str) -> str:
    """The hash of a model from before hashes held the name, unless another model has it too."""
    others = ModelEndpoint.objects.filter(digest=stored.digest).exclude(name=stored.name)
    return digest if others.exists() else stored.digest


def newest_tool(name: str) -> ToolVersion | None:
    """The newest version of a tool in the open workspace."""
    return ToolVersion.objects.filter(tool__name=name).order_by("-number").first()


def columns(row: models.Model) -> dict[str, Any]:
    """The content of a version, by column, as the database compares it with what was signed."""
    return {
        column.attname: getattr(row, column.attname)
        for column in row._meta.concrete_fields
        if column.attname not in _APART
    }


def uses_of(version: AgentVersion) -> dict[str, Any]:
    """The digests of a stored agent version's model and, by name, of its tools."""
    tools = ToolVersion.objects.filter(agenttool__agent_version=version).select_related("tool")
    return {
        "model": version.endpoint.digest,
        "tools": {tool.tool.name: tool.digest for tool in tools.order_by("tool__name")},
    }


def names_of(planned: Plan) -> dict[str, str]:
    """What the hashes of models and tools in a plan's agents stand for: hash → name and number.

    Where several versions have one hash, the highest number: the one that an agent is tied to.
    """
    uses = [each for new in planned.versions for each in (new.uses, new.old_uses) if each]
    models = ModelEndpoint.objects.filter(digest__in=[each["model"] for each in uses])
    tools = ToolVersion.objects.filter(
        digest__in={digest for each in uses for digest in each["tools"].values()}
    )
    rows = [(new.number, new.name, new.digest) for new in planned.versions]
    rows += models.values_list("number", "name", "digest")
    rows += tools.values_list("number", "tool__name", "digest")
    return {digest: f"{name} v{number}" for number, name, digest in sorted(rows)}


def differences(version: Planned) -> Iterator[tuple[str, Any, Any]]:
    """(column, before, after) of each column that differs; all of a first version's."""
    for name, value in version.content.items():
        if name not in version.old or version.old[name] != value:
            yield name, version.old.get(name), value


def open_kinds(versions: Sequence[Planned]) -> str:
    """What is changed, for a sentence: `agent Accounts payable v2 and tool pay v3`."""
    names = [str(version) for version in versions]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _definition(entry: ToolEntry) -> ToolDefinition:
    try:
        definition = load(entry.function, settings.COUNTERSIGN_TOOL_MODULES)
    except ToolImportError as error:
        raise Refused(f"tool {entry.name}: {error}") from error
    if definition.name != entry.name:
        raise Refused(f"tool {entry.name}: the function's own name is {definition.name}; use it.")
    return definition
