"""Requests for changes of what governs, as the API takes and says them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from countersign.api.schemas.approvals import VoteOut
from countersign.api.schemas.base import Paged, PageOut, Taken, Text
from policies.cases import MAX_CASES
from policies.engine import MAX_POLICY_BYTES
from policies.models import ApprovalState
from policies.readiness import MAX_INVARIANTS
from policies.services.simulation import MAX_DAYS


class ProposalHeaders(Schema):
    idempotency_key: Text = Field(
        "",
        max_length=200,
        alias="Idempotency-Key",
        description="Your name for this proposal. Repeated, it gives what the first one made.",
        examples=["agents-2026-11-22"],
    )


class ChangeFilters(Paged):
    state: list[ApprovalState] = Field(
        default_factory=list, description="Only changes in these states."
    )


class ChangeOut(Schema):
    """A change that somebody asks for. People sign it in the console."""

    id: UUID
    kind: str = Field(description="What it changes: `registry`, `policy` or `role`.")
    title: str
    tier: int
    requester_type: str
    requester_name: str
    state: ApprovalState
    requirement: list[dict[str, Any]]
    sign_by: datetime
    created: datetime
    made: datetime | None = Field(description="When it took effect; empty while it has not.")


class ChangeDetailOut(ChangeOut):
    """A change with all that its signers see."""

    words: list[str] = Field(description="What would be different, one sentence each.")
    displayed: dict[str, Any] = Field(description="The same as data; people sign its hash.")
    displayed_digest: str
    binding_digest: str
    votes: list[VoteOut]


class ChangePage(PageOut[ChangeOut]):
    pass


class RegistrationIn(Taken):
    """A registration file: models, tools and agents, as `manage.py register` takes it."""

    file: Text = Field(description="YAML, at most 400,000 characters.")
    documents: dict[str, Text] = Field(
        default_factory=dict,
        max_length=20,
        description="Text of the OpenAPI documents that the file names, by file name. The body has"
        " at most 2.5 MB; larger documents are proposed in the console or by `register --as`.",
    )


class RolesIn(Taken):
    """All roles that a member is to hold."""

    username: Text = Field(min_length=1, max_length=80, examples=["bob"])
    roles: list[Text] = Field(
        min_length=1,
        max_length=100,
        description="`operator`, `policy_officer`, `auditor`, `admin` or `reviewer:GROUP`; a role"
        " that is held and not named is taken away.",
        examples=[["operator", "reviewer:finance"]],
    )


class ProposalOut(Schema):
    """`change` is empty where everything is already as it is asked for."""

    change: ChangeDetailOut | None


class WithdrawIn(Taken):
    reason: Text = Field(max_length=2_000, examples=["The supplier moved to another bank."])


class PolicyDraftIn(Taken):
    """A draft. What is left out is as in `parent`, or else as in the version in force."""

    text: Text | None = Field(None, description=f"Cedar, at most {MAX_POLICY_BYTES:,} bytes.")
    tests: list[dict[str, Any]] | None = Field(None, max_length=MAX_CASES)
    invariants: list[Text] | None = Field(None, max_length=MAX_INVARIANTS)
    parent: int | None = Field(None, ge=1, description="Number of the version it is made from.")
    note: Text = Field("", max_length=200, description="What changes, in a few words.")


class SimulateIn(Taken):
    days: int = Field(30, ge=1, le=MAX_DAYS, description="Days back.")
