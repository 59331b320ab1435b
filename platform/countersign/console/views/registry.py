"""Agents, tools and models: what is registered, in every version."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents import selectors
from agents.registry import tool_specs
from agents.selectors import AgentVersionView, EndpointView, ToolView
from audit.canonical import JSON
from countersign.console import code, guards, policy_words
from countersign.console.pages import render
from countersign.console.schema_forms import properties
from policies.engine import PolicyError, compile_policy
from policies.errors import NotFound
from policies.outlook import outlook
from policies.selectors import active_policy


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


V = TypeVar("V", bound=Numbered)


@require_safe
@guards.page
def agent_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    context = {"nav": "agents", "agents": selectors.agents(member.id)}
    return render(request, member, "console/agent_list.html", context)


@require_safe
@guards.page
def agent_detail(
    request: HttpRequest, slug: str, name: str, number: int | None = None
) -> HttpResponse:
    member = guards.member(request, slug)
    versions = selectors.agent_versions(member.id, name)
    version, before = _pick(versions, number)
    context = {
        "nav": "agents",
        "version": version,
        "versions": versions,
        "before": before,
        "changes": _changes(before, version, _agent_text),
        "runs": selectors.runs(member.id, agent=name, limit=8).rows,
        "budgets": selectors.budgets_today(member.id, version.agent_id, version.budgets),
    }
    return render(request, member, "console/agent_detail.html", context)


@require_safe
@guards.page
def tool_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    context = {"nav": "tools", "tools": selectors.tools(member.id)}
    return render(request, member, "console/tool_list.html", context)


@require_safe
@guards.page
def tool_detail(
    request: HttpRequest, slug: str, name: str, number: int | None = None
) -> HttpResponse:
    member = guards.member(request, slug)
    versions = selectors.tool_versions(member.id, name)
    version, before = _pick(versions, number)
    context = {
        "nav": "tools",
        "version": version,
        "versions": versions,
        "before": before,
        "changes": _changes(before, version, _tool_text),
        "parameters": parameters(version),
        "parameters_json": code.rows(_json(version.parameters), language="json"),
        "result_json": code.rows(_json(version.result), language="json"),
        "used_by": selectors.agents_with_tool(member.id, name),
        # An older version is called by runs that began with it; the policy speaks of the newest.
        "forecast": _forecast(member, name) if version is versions[0] else None,
    }
    return render(request, member, "console/tool_detail.html", context)


def _forecast(member: guards.Member, name: str) -> policy_words.Forecast:
    """What the policy in force will say of the calls of a tool's newest version."""
    tools = tool_specs(member.id)
    tool = next(each for each in tools if each.name == name)
    try:
        compiled = compile_policy(active_policy(member.id).text, tools=tools)
    except (PolicyError, NotFound) as error:
        return policy_words.Forecast(policy_words.outcome("deny"), problem=str(error))
    return policy_words.forecast(outlook(compiled, tool))


@require_safe
@guards.page
def model_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    context = {"nav": "models", "models": selectors.endpoints(member.id)}
    return render(request, member, "console/model_list.html", context)


@require_safe
@guards.page
def model_detail(
    request: HttpRequest, slug: str, name: str, number: int | None = None
) -> HttpResponse:
    member = guards.member(request, slug)
    versions = selectors.endpoint_versions(member.id, name)
    version, before = _pick(versions, number)
    context = {
        "nav": "models",
        "version": version,
        "versions": versions,
        "before": before,
        "changes": _changes(before, version, _endpoint_text),
    }
    return render(request, member, "console/model_detail.html", context)


def parameters(version: ToolView) -> list[dict[str, Any]]:
    """Each parameter of a tool with what people ask about it."""
    required = set(version.parameters.get("required", ()))
    return [
        {
            "name": name,
            "type": part.get("type", "any"),
            "role": version.roles.get(name, ""),
            "required": name in required,
            "description": part.get("description", ""),
        }
        for name, part in properties(version.parameters)
    ]


def _pick(versions: Sequence[V], number: int | None) -> tuple[V, V | None]:
    """The version asked for (the newest by default) and the one before it."""
    for index, version in enumerate(versions):
        if number is None or version.number == number:
            return version, versions[index + 1] if index + 1 < len(versions) else None
    raise Http404("no such version")


def _changes(before: V | None, version: V, text: Callable[[V], str]) -> list[code.Row]:
    return [] if before is None else code.difference(text(before), text(version))


def _json(value: JSON) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _tool_text(version: ToolView) -> str:
    return _text(asdict(version), leave=("id", "tool_id", "name", "number", "digest"))


def _endpoint_text(version: EndpointView) -> str:
    return _text(asdict(version), leave=("id", "name", "number", "digest", "scripted"))


def _agent_text(version: AgentVersionView) -> str:
    said = {
        **asdict(version),
        "endpoint": f"{version.endpoint.name} v{version.endpoint.number}",
        "tools": [f"{tool.name} v{tool.number}" for tool in version.tools],
    }
    return _text(said, leave=("id", "agent_id", "name", "number", "digest"))


def _text(said: dict[str, Any], leave: Sequence[str]) -> str:
    """A version as lines, texts in their own lines, so that a difference reads well."""
    lines: list[str] = []
    for name, value in said.items():
        if name in (*leave, "created", "registered_by"):
            continue
        body = value if isinstance(value, str) else _json(value)
        if "\n" in body:
            lines += [f"{name}:", *(f"  {line}" for line in body.splitlines())]
        else:
            lines.append(f"{name}: {body}")
    return "\n".join(lines)
