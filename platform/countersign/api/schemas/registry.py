"""Agents, tools and models, as the API says them."""

from typing import Any

from ninja import Schema

from countersign.api.schemas.base import PageOut


class ToolOut(Schema):
    name: str
    number: int
    digest: str
    kind: str
    target: str
    description: str
    parameters: dict[str, Any]
    result: dict[str, Any]
    effect: str
    tier: int
    labels: list[str]
    roles: dict[str, str]
    idempotent: bool


class AgentOut(Schema):
    name: str
    number: int
    digest: str
    description: str
    goal: str
    mode: str
    agency: int
    model: str
    scripted: bool
    tools: list[str]
    inputs: dict[str, Any]


class ModelOut(Schema):
    name: str
    number: int
    digest: str
    kind: str
    model: str
    scripted: bool
    labels: list[str]


class AgentPage(PageOut[AgentOut]):
    pass


class ToolPage(PageOut[ToolOut]):
    pass


class ModelPage(PageOut[ModelOut]):
    pass
