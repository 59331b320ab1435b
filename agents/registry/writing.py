"""What is registered, as a file that would register it again: where a proposal starts from.

Reading such a text back plans nothing, as long as nothing else has changed.
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import yaml

from agents.errors import NotFound
from agents.models import AgentVersion, ModelEndpoint
from agents.registry.plan import newest_tool
from audit.transactions import in_workspace

_MADE_BY_US = frozenset({"additionalProperties", "x-order"})
_PRICE = frozenset({"price_in_micros_per_mtok", "price_out_micros_per_mtok", "currency"})
_MICROS = 1_000_000


def agent_text(workspace_id: UUID, name: str, changes: Mapping[str, Any] | None = None) -> str:
    """The file section of an agent's newest version, with `changes` to its entries.

    Raises:
        NotFound: this workspace has no agent of that name.
    """
    with in_workspace(workspace_id):
        versions = AgentVersion.objects.filter(agent__name=name).select_related("endpoint")
        version = versions.order_by("-number").first()
        if version is None:
            raise NotFound(f"no agent {name}")
        tools = version.tools.order_by("tool__name").values_list("tool__name", flat=True)
        entry = {**_agent(version, list(tools)), **(changes or {})}
    return _yaml({"agents": {name: {key: value for key, value in entry.items() if value != ""}}})


def model_text(workspace_id: UUID, name: str) -> str:
    """The file section of a model's newest version.

    Raises:
        NotFound: this workspace has no model of that name.
    """
    with in_workspace(workspace_id):
        endpoint = ModelEndpoint.objects.filter(name=name).order_by("-number").first()
    if endpoint is None:
        raise NotFound(f"no model {name}")
    settings = {key: value for key, value in endpoint.settings.items() if key not in _PRICE}
    entry = {
        "base_url": endpoint.base_url,
        "model": endpoint.model,
        "kind": endpoint.kind,
        **({"api_key": endpoint.api_key_ref} if endpoint.api_key_ref else {}),
        **({"price": price} if (price := _price(endpoint.settings)) else {}),
        "labels": list(endpoint.labels),
        **settings,
    }
    return _yaml({"models": {name: entry}})


def tool_text(workspace_id: UUID, name: str) -> str:
    """The file section of a tool that is a Python function; "" where it is another kind.

    Raises:
        NotFound: this workspace has no tool of that name.
    """
    with in_workspace(workspace_id):
        version = newest_tool(name)
    if version is None:
        raise NotFound(f"no tool {name}")
    return _yaml({"tools": {name: version.target}}) if version.kind == "python" else ""


def _agent(version: AgentVersion, tools: Collection[str]) -> dict[str, Any]:
    inputs = {key: value for key, value in version.inputs.items() if key not in _MADE_BY_US}
    order = version.inputs.get("x-order", [])
    if "properties" in inputs:
        properties = inputs["properties"]
        inputs["properties"] = {key: properties[key] for key in order} or properties
    return {
        "description": version.description,
        "goal": version.goal,
        "model": version.endpoint.name,
        "tools": list(tools),
        "imports": list(version.imports),
        "mode": version.mode,
        "agency": version.agency,
        "runtime": version.runtime,
        "limits": dict(version.limits),
        **({"budgets": version.budgets} if version.budgets else {}),
        **({"inputs": inputs} if inputs.get("properties") else {}),
        "instructions": version.instructions,
        **({"checks": list(version.checks)} if version.checks else {}),
    }


def _price(settings: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "input": settings.get("price_in_micros_per_mtok"),
        "output": settings.get("price_out_micros_per_mtok"),
    }
    price = {key: _whole(value / _MICROS) for key, value in given.items() if value is not None}
    return {**price, "currency": settings["currency"]} if "currency" in settings else {}


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, since people edit them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
