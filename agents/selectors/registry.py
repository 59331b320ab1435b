"""Agents, tools and models in all their versions, as doors read them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max, QuerySet

from agents.budgets.limits import Limits
from agents.errors import NotFound
from agents.models import (
    Agent,
    AgentTool,
    AgentVersion,
    Effect,
    ModelEndpoint,
    Run,
    Tool,
    ToolVersion,
)
from agents.selectors.records import (
    AgentRow,
    AgentVersionView,
    EndpointView,
    ToolView,
    VersionName,
)
from audit.transactions import in_workspace


def agents(workspace_id: UUID) -> tuple[AgentRow, ...]:
    """Every agent with its newest version, by name."""
    with in_workspace(workspace_id):
        newest = (
            _agent_versions(workspace_id).order_by("agent__name", "-number").distinct("agent__name")
        )
        used = _use(workspace_id)
        tools = _tools_of([version.id for version in newest])
        return tuple(
            AgentRow(_agent_view(version, tools), *used.get(version.agent_id, (0, None)))
            for version in newest
        )


def agent_versions(workspace_id: UUID, name: str) -> tuple[AgentVersionView, ...]:
    """Every version of one agent, newest first.

    Raises:
        NotFound: this workspace has no agent of that name.
    """
    with in_workspace(workspace_id):
        if not Agent.objects.filter(workspace_id=workspace_id, name=name).exists():
            raise NotFound(f"no agent {name}")
        found = list(_agent_versions(workspace_id).filter(agent__name=name).order_by("-number"))
        tools = _tools_of([version.id for version in found])
        return tuple(_agent_view(version, tools) for version in found)


def agent_version(workspace_id: UUID, version_id: UUID) -> AgentVersionView:
    """One version of an agent by its id.

    Raises:
        NotFound: this workspace has no such version.
    """
    with in_workspace(workspace_id):
        found = _agent_versions(workspace_id).filter(id=version_id).first()
        if found is None:
            raise NotFound(f"no agent version {version_id}")
        return _agent_view(found, _tools_of([found.id]))


def tools(workspace_id: UUID) -> tuple[ToolView, ...]:
    """The newest version of every tool, by name."""
    with in_workspace(workspace_id):
        found = _tool_versions(workspace_id).order_by("tool__name", "-number")
        return tuple(_tool_view(version) for version in found.distinct("tool__name"))


def tool_versions(workspace_id: UUID, name: str) -> tuple[ToolView, ...]:
    """Every version of one tool, newest first.

    Raises:
        NotFound: this workspace has no tool of that name.
    """
    with in_workspace(workspace_id):
        if not Tool.objects.filter(workspace_id=workspace_id, name=name).exists():
            raise NotFound(f"no tool {name}")
        found = _tool_versions(workspace_id).filter(tool__name=name).order_by("-number")
        return tuple(_tool_view(version) for version in found)


def agents_with_tool(workspace_id: UUID, name: str) -> tuple[tuple[str, int, int], ...]:
    """(agent, version of the agent, version of the tool) wherever the tool may be called."""
    with in_workspace(workspace_id):
        found = AgentTool.objects.filter(
            workspace_id=workspace_id, tool_version__tool__name=name
        ).order_by("agent_version__agent__name", "-agent_version__number")
        return tuple(
            found.values_list(
                "agent_version__agent__name", "agent_version__number", "tool_version__number"
            )
        )


def endpoints(workspace_id: UUID) -> tuple[EndpointView, ...]:
    """The newest version of every model endpoint, by name."""
    with in_workspace(workspace_id):
        found = ModelEndpoint.objects.filter(workspace_id=workspace_id)
        newest = found.order_by("name", "-number").distinct("name")
        return tuple(_endpoint_view(endpoint) for endpoint in newest)


def endpoint_versions(workspace_id: UUID, name: str) -> tuple[EndpointView, ...]:
    """Every version of one endpoint, newest first.

    Raises:
        NotFound: this workspace has no endpoint of that name.
    """
    with in_workspace(workspace_id):
        found = ModelEndpoint.objects.filter(workspace_id=workspace_id, name=name)
        versions = tuple(_endpoint_view(endpoint) for endpoint in found.order_by("-number"))
    if not versions:
        raise NotFound(f"no model {name}")
    return versions


def versions_named(workspace_id: UUID, digests: Collection[str]) -> dict[str, VersionName]:
    """What these hashes of versions stand for, as far as the workspace has registered them."""
    with in_workspace(workspace_id):
        agents = AgentVersion.objects.filter(workspace_id=workspace_id, digest__in=digests)
        tools = ToolVersion.objects.filter(workspace_id=workspace_id, digest__in=digests)
        models = ModelEndpoint.objects.filter(workspace_id=workspace_id, digest__in=digests)
        named = {
            "agent": agents.values_list("digest", "agent__name", "number"),
            "tool": tools.values_list("digest", "tool__name", "number"),
            "model": models.values_list("digest", "name", "number"),
        }
        return {
            digest: VersionName(kind, name, number)
            for kind, rows in named.items()
            for digest, name, number in rows
        }


def _agent_versions(workspace_id: UUID) -> QuerySet[AgentVersion]:
    return AgentVersion.objects.filter(workspace_id=workspace_id).select_related(
        "agent", "endpoint"
    )


def _tool_versions(workspace_id: UUID) -> QuerySet[ToolVersion]:
    return ToolVersion.objects.filter(workspace_id=workspace_id).select_related("tool")


def _tools_of(version_ids: Sequence[UUID]) -> dict[UUID, tuple[ToolView, ...]]:
    found: dict[UUID, tuple[ToolView, ...]] = {}
    links = (
        AgentTool.objects.filter(agent_version_id__in=version_ids)
        .select_related("tool_version__tool")
        .order_by("tool_version__tool__name")
    )
    for link in links:
        view = _tool_view(link.tool_version)
        found[link.agent_version_id] = (*found.get(link.agent_version_id, ()), view)
    return found


def _use(workspace_id: UUID) -> dict[UUID, tuple[int, datetime | None]]:
    rows = (
        Run.objects.filter(workspace_id=workspace_id)
        .order_by()
        .values_list("agent_version__agent_id")
        .annotate(Count("id"), Max("created"))
    )
    return {agent_id: (count, last) for agent_id, count, last in rows}


def _tool_view(version: ToolVersion) -> ToolView:
    return ToolView(
        id=version.id,
        tool_id=version.tool_id,
        name=version.tool.name,
        number=version.number,
        digest=version.digest,
        kind=version.kind,
        target=version.target,
        operation=version.operation,
        description=version.description,
        parameters=version.parameters,
        result=version.result,
        effect=Effect(version.effect),
        tier=version.tier,
        labels=tuple(version.labels),
        roles=version.roles,
        idempotent=version.idempotent,
        timeout_s=version.timeout_s,
        max_result_bytes=version.max_result_bytes,
        registered_by=version.registered_by,
        created=version.created,
    )


def _endpoint_view(endpoint: ModelEndpoint) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        name=endpoint.name,
        number=endpoint.number,
        digest=endpoint.digest,
        kind=endpoint.kind,
        base_url=endpoint.base_url,
        model=endpoint.model,
        api_key_ref=endpoint.api_key_ref,
        settings=endpoint.settings,
        labels=tuple(endpoint.labels),
        scripted=endpoint.scripted,
        registered_by=endpoint.registered_by,
        created=endpoint.created,
    )


def _agent_view(
    version: AgentVersion, tools: Mapping[UUID, tuple[ToolView, ...]]
) -> AgentVersionView:
    return AgentVersionView(
        id=version.id,
        agent_id=version.agent_id,
        name=version.agent.name,
        number=version.number,
        digest=version.digest,
        description=version.description,
        instructions=version.instructions,
        goal=version.goal,
        mode=version.mode,
        agency=version.agency,
        endpoint=_endpoint_view(version.endpoint),
        tools=tools.get(version.id, ()),
        limits=Limits.from_json(version.limits),
        budgets=version.budgets,
        inputs=version.inputs,
        checks=tuple(version.checks),
        imports=tuple(version.imports),
        runtime=version.runtime,
        registered_by=version.registered_by,
        created=version.created,
    )
