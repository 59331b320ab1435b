"""Kill switches, as the API takes and says them."""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from ninja import Field, Schema
from pydantic import model_validator

from agents.models import KillScope
from countersign.api.schemas.base import PageOut, Taken, Text


class Stopped(StrEnum):
    """What a token may stop: all that belongs to its workspace."""

    RUN = "run"
    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"
    WORKSPACE = "workspace"


class KillSwitchIn(Taken):
    """Something to stop."""

    scope: Stopped
    subject: Text = Field(
        "",
        max_length=100,
        description="Id of the run, or name of the agent, tool or model; empty for `workspace`.",
        examples=["create_payment"],
    )
    reason: Text = Field(
        min_length=1, max_length=500, pattern=r"\S", examples=["Error rate of the bank above 5 %."]
    )

    @model_validator(mode="after")
    def _names_what_it_stops(self) -> Self:
        if bool(self.subject) is (self.scope is Stopped.WORKSPACE):
            raise ValueError("name the run, agent, tool or model in subject, and only those")
        return self


class KillSwitchFilters(Schema):
    lifted: bool = Field(False, description="Those of the past too.")


class KillSwitchOut(Schema):
    """What stands still. `runs`: how many of this workspace wait for its lifting."""

    id: UUID
    scope: KillScope
    subject: str
    reason: str
    set_by: str
    set_at: datetime
    in_force: bool
    lift_asked_by: str
    lift_asked_at: datetime | None
    lifted_by: str
    lifted_at: datetime | None
    lift_reason: str
    runs: int


class KillSwitchPage(PageOut[KillSwitchOut]):
    pass
