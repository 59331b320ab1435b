"""Requests for signatures, as the API says them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from countersign.api.schemas.base import Paged, PageOut
from policies.models import ApprovalState


class ApprovalFilters(Paged):
    run: UUID | None = Field(None, description="Only requests of this run, in any state.")
    state: list[ApprovalState] = Field(
        default_factory=list,
        description="Only requests in these states; without it and `run`, the open ones.",
    )


class VoteOut(Schema):
    user_name: str
    answer: str
    meaning: str
    comment: str
    factors: list[str]
    created: datetime


class ApprovalOut(Schema):
    """What waits for signatures. Votes are cast in the console, by people."""

    id: UUID
    run_id: UUID | None
    step: int | None
    kind: str
    title: str
    tier: int
    agent_name: str
    requester_name: str
    state: ApprovalState
    requirement: list[dict[str, Any]]
    factor: str = Field(
        description="What each signature needs beside the password: `totp`, or nothing."
    )
    sign_by: datetime
    execute_by: datetime
    created: datetime


class ApprovalDetailOut(ApprovalOut):
    displayed: dict[str, Any]
    masked: list[str] = Field(
        description="Arguments that a rule masks and that `displayed` does not show: the token "
        "lacks `masks:open`. The digest is of all of it."
    )
    displayed_digest: str
    binding_digest: str
    votes: list[VoteOut]


class ApprovalPage(PageOut[ApprovalOut]):
    pass
