"""Policy versions, as the API says them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from countersign.api.schemas.base import PageOut


class PolicyOut(Schema):
    """One policy version."""

    number: int
    digest: str
    note: str
    author_name: str
    created: datetime
    active: bool
    activated: datetime | None


class PolicyDetailOut(PolicyOut):
    """One policy version with its Cedar text, required tests and invariants."""

    text: str
    tests: list[Any]
    invariants: list[str] = Field(description="Rules that no version may fall short of, as Cedar.")
    parent: int | None = Field(description="The version it was edited from.")


class PolicyPage(PageOut[PolicyOut]):
    pass


class TestOut(Schema):
    """A required test; `got` is empty where it cannot be run with the tools of today."""

    name: str
    expected: str
    signatures: list[dict[str, Any]] = Field(
        description="What a review must ask for at least: role, quorum, and factor where one is."
    )
    got: str
    passed: bool


class InvariantOut(Schema):
    """An invariant; `certain` where a rule says the same, else not broken by `tried` requests."""

    id: str
    sentence: str
    certain: bool
    broken: bool
    tried: int
    example: dict[str, Any] = Field(
        {}, description="A request that breaks it, and how it is answered; empty where none is."
    )


class ReadinessOut(Schema):
    """What stands between a version and its submission."""

    ready: bool
    problem: str = Field(description="Why it does not fit the tools registered now, or empty.")
    obstacles: list[str]
    tests: list[TestOut]
    invariants: list[InvariantOut]
    difference: dict[str, Any] = Field(description="To the version in force, with examples.")


class SimulationOut(Schema):
    """A version tried on past decisions; `counts` by "<then> -> <now>", and "same"."""

    id: UUID
    number: int
    days: int
    state: str
    done: int
    total: int
    counts: dict[str, int]
    problem: str
    requester_name: str
    requested: datetime
    finished: datetime | None


class SimulationDetailOut(SimulationOut):
    """A simulation with the newest decisions that would have been different."""

    changes: list[Any]


class SimulationPage(PageOut[SimulationOut]):
    pass
