"""Agents, tools and models, to read."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from ninja import Router

from agents import selectors as agents
from countersign.accounts.scopes import Scope
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.schemas import registry as out

router = Router(tags=["registry"])


@router.get(
    "/agents", auth=Bearer(Scope.REGISTRY_READ), response=says(out.AgentPage), summary="Agents"
)
def agent_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every agent in its newest version, by name; `inputs` is the JSON Schema of a run's inputs."""
    return page([_agent(row.version) for row in agents.agents(caller(request).workspace_id)])


def _agent(version: agents.AgentVersionView) -> Mapping[str, Any]:
    return {
        **{name: getattr(version, name) for name in _AGENT_FIELDS},
        "model": version.endpoint.name,
        "scripted": version.endpoint.scripted,
        "tools": [tool.name for tool in version.tools],
    }


_AGENT_FIELDS = ("name", "number", "digest", "description", "goal", "mode", "agency", "inputs")


@router.get(
    "/tools", auth=Bearer(Scope.REGISTRY_READ), response=says(out.ToolPage), summary="Tools"
)
def tool_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every tool in its newest version, by name."""
    return page(agents.tools(caller(request).workspace_id))


@router.get(
    "/models", auth=Bearer(Scope.REGISTRY_READ), response=says(out.ModelPage), summary="Models"
)
def model_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every model endpoint in its newest version; keys are nowhere in the database."""
    return page(agents.endpoints(caller(request).workspace_id))
