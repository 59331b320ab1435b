"""Registers models, tools and agents from a file: the only writer of their versions.

Registering is idempotent: the same content again changes nothing, other content makes the next
version. All of a file is registered in one transaction, or nothing of it.
"""

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models

from agents.errors import Refused
from agents.models import Agent, AgentTool, AgentVersion, ModelEndpoint, Tool, ToolVersion
from agents.registry import format as register_format
from agents.registry.format import AgentEntry, ModelEntry, RegisterError, ToolEntry
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolImportError
from agents.tools.registry import load
from audit import canonical
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies.facts.record import ToolSpec

M = TypeVar("M", bound=models.Model)


@dataclass
class Registered:
    """What registering a file did, as lines for whoever ran it."""

    made: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def register(*, workspace_id: UUID, text: str, actor: Actor) -> Registered:
    """Register everything a file names.

    Raises:
        Refused: the file is not right; names every fault with its line. Nothing is registered.
    """
    with in_workspace(workspace_id):
        # Two registrations at once would both make "the next" version.
        known_tools = [tool.name for tool in Tool.objects.select_for_update()]
        known_models = ModelEndpoint.objects.order_by().values_list("name", flat=True).distinct()
        try:
            wanted = register_format.parse(
                text, known_models=set(known_models), known_tools=known_tools
            )
        except RegisterError as error:
            raise Refused(str(error)) from error
        work = _Work(workspace_id, actor)
        for model in wanted.models:
            work.endpoint(model)
        for tool in wanted.tools:
            work.tool(tool)
        for agent in wanted.agents:
            work.agent(agent)
        record(workspace_id, work.drafts)
    return work.report


def tool_specs(workspace_id: UUID | str) -> list[ToolSpec]:
    """The newest version of every tool, as facts and policies know it."""
    with in_workspace(UUID(str(workspace_id))):
        versions = ToolVersion.objects.select_related("tool").order_by("tool_id", "-number")
        return [spec_of(version) for version in versions.distinct("tool_id")]


def spec_of(version: ToolVersion) -> ToolSpec:
    """A stored version as facts and policies know it."""
    return ToolSpec(
        name=version.tool.name,
        version=version.digest,
        effect=version.effect,
        tier=version.tier,
        labels=frozenset(version.labels),
        roles=version.roles,
        parameters=version.parameters,
        idempotent=version.idempotent,
    )


@dataclass
class _Work:
    """One registration in progress, inside its transaction."""

    workspace_id: UUID
    actor: Actor
    drafts: list[Draft] = field(default_factory=list)
    report: Registered = field(default_factory=Registered)

    @property
    def author(self) -> dict[str, str]:
        by_person = self.actor.type == "user"
        return {
            "registered_by": self.actor.name,
            **({"author_id": self.actor.id} if by_person else {}),
        }

    def endpoint(self, entry: ModelEntry) -> None:
        digest = canonical.digest(entry.content())
        versions = ModelEndpoint.objects.filter(name=entry.name)
        if self._has(versions, digest, f"model {entry.name}"):
            return
        made = ModelEndpoint.objects.create(
            workspace_id=self.workspace_id,
            name=entry.name,
            number=_next(versions),
            digest=digest,
            kind=entry.kind,
            base_url=entry.base_url,
            model=entry.model,
            api_key_ref=entry.api_key_ref,
            settings=dict(entry.settings),
            labels=list(entry.labels),
            registered_by=self.actor.name,
        )
        self._made("model", made.name, made.id, made.number, digest)

    def tool(self, entry: ToolEntry) -> None:
        definition = _definition(entry)
        tool, _ = Tool.objects.get_or_create(workspace_id=self.workspace_id, name=entry.name)
        versions = ToolVersion.objects.filter(tool=tool)
        if self._has(versions, definition.digest, f"tool {entry.name}"):
            return
        made = ToolVersion.objects.create(
            workspace_id=self.workspace_id,
            tool=tool,
            number=_next(versions),
            digest=definition.digest,
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
            **self.author,
        )
        self._made("tool", tool.name, made.id, made.number, made.digest)

    def agent(self, entry: AgentEntry) -> None:
        endpoint = ModelEndpoint.objects.filter(name=entry.model).order_by("-number")[0]
        tools = [
            ToolVersion.objects.filter(tool__name=name).order_by("-number")[0]
            for name in entry.tools
        ]
        content = {
            **entry.content(),
            "model": endpoint.digest,
            "tools": {tool.tool.name: tool.digest for tool in tools},
        }
        if not entry.budgets:
            del content["budgets"]
        digest = canonical.digest(content)
        agent, _ = Agent.objects.get_or_create(workspace_id=self.workspace_id, name=entry.name)
        versions = AgentVersion.objects.filter(agent=agent)
        if self._has(versions, digest, f"agent {entry.name}"):
            return
        made = AgentVersion.objects.create(
            workspace_id=self.workspace_id,
            agent=agent,
            number=_next(versions),
            digest=digest,
            endpoint=endpoint,
            **entry.content(),
            **self.author,
        )
        AgentTool.objects.bulk_create(
            AgentTool(workspace_id=self.workspace_id, agent_version=made, tool_version=tool)
            for tool in tools
        )
        self._made("agent", agent.name, made.id, made.number, digest)

    def _has(self, versions: models.QuerySet[M], digest: str, name: str) -> bool:
        """Whether the newest version is this very content already."""
        newest = versions.order_by("-number").values("number", "digest").first()
        if newest is None or newest["digest"] != digest:
            return False
        self.report.unchanged.append(f"{name} v{newest['number']}")
        return True

    def _made(self, kind: str, name: str, key: UUID, number: int, digest: str) -> None:
        self.report.made.append(f"{kind} {name} v{number}")
        self.drafts.append(
            Draft(
                action=f"{kind}.registered",
                actor=self.actor,
                subject=Subject(kind, str(key), digest),
                detail={"name": name, "number": number},
            )
        )


def _definition(entry: ToolEntry) -> ToolDefinition:
    try:
        definition = load(entry.function, settings.COUNTERSIGN_TOOL_MODULES)
    except ToolImportError as error:
        raise Refused(f"tool {entry.name}: {error}") from error
    if definition.name != entry.name:
        raise Refused(f"tool {entry.name}: the function's own name is {definition.name}; use it.")
    return definition


def _next(versions: models.QuerySet[M]) -> int:
    newest = versions.aggregate(newest=models.Max("number"))["newest"]
    return int(newest or 0) + 1
