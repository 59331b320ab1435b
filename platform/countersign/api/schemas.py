"""What the API says, as its published schema says it. Times are RFC 3339 in UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from ninja import Field, Schema

T = TypeVar("T")


class PageOut(Schema, Generic[T]):
    """Some rows; `next` is the `cursor` of the next page, "" on the last one."""

    items: Sequence[T]
    next: str


class RunIn(Schema):
    """A run to start."""

    agent: str = Field(max_length=100, description="Name of the agent; its newest version runs.")
    goal: str = Field("", max_length=20_000, description="Empty: the agent's own goal.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="As the agent declares them.")


class CancelIn(Schema):
    reason: str = Field("", max_length=2_000)


class RunOut(Schema):
    """One run as lists show it. `cost_micros`: millionths of `currency`."""

    id: UUID
    agent: str
    agent_number: int
    goal: str
    state: str
    reason: str
    requester_name: str
    steps_taken: int
    calls_made: int
    input_tokens: int
    output_tokens: int
    cost_micros: int
    currency: str
    scripted: bool
    created: datetime
    started: datetime | None
    ended: datetime | None


class RunDetailOut(RunOut):
    """One run with what it was given and what it answered."""

    inputs: dict[str, Any]
    answer: Any
    working_ms: int


class CallOut(Schema):
    """One tool call; `state` says what became of it."""

    id: UUID
    seq: int
    tool: str
    tool_number: int
    effect: str
    arguments: dict[str, Any]
    state: str
    error: dict[str, Any]
    approval_request_id: UUID | None
    duration_ms: int


class StepOut(Schema):
    """One turn of the loop."""

    number: int
    state: str
    thought: str
    code: str
    status: str
    stdout: str
    observation: str
    created: datetime
    ended: datetime | None
    calls: list[CallOut]


class EventOut(Schema):
    """One entry of a run's log, in the run's own order."""

    seq: int
    id: UUID
    time: datetime
    action: str
    actor: str
    subject_type: str
    subject_id: str
    detail: dict[str, Any]


class VoteOut(Schema):
    user_name: str
    answer: str
    meaning: str
    comment: str
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
    state: str
    requirement: list[dict[str, Any]]
    sign_by: datetime
    execute_by: datetime
    created: datetime


class ApprovalDetailOut(ApprovalOut):
    displayed: dict[str, Any]
    displayed_digest: str
    binding_digest: str
    votes: list[VoteOut]


class EntryOut(Schema):
    """One entry of the audit log; `leaf` is the exact canonical text that is hashed."""

    id: UUID
    time: datetime
    action: str
    actor_type: str
    actor_id: str
    actor_name: str
    subject_type: str
    subject_id: str
    run_id: UUID | None
    run_seq: int | None
    leaf: str
    leaf_hash: str


class ToolOut(Schema):
    name: str
    number: int
    digest: str
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
