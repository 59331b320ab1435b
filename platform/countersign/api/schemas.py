"""What the API says and takes, as its published schema says it. Times are RFC 3339 in UTC.

What is taken forbids unknown fields: a misspelt one must not be dropped silently.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from ninja import Field, Schema
from pydantic import AfterValidator, ConfigDict

from agents.models import RunState
from countersign.api.parsing import storable
from policies.models import ApprovalState

T = TypeVar("T")
MAX_PAGE = 200
Text = Annotated[str, AfterValidator(storable)]


class PageOut(Schema, Generic[T]):
    """Some rows; `next` is the `cursor` of the next page, "" on the last one."""

    items: Sequence[T]
    next: str


class Taken(Schema):
    model_config = ConfigDict(extra="forbid")


class Paged(Schema):
    cursor: Text = Field("", max_length=400, description="`next` of the page before.")
    limit: int = Field(50, ge=1, le=MAX_PAGE)


class RunIn(Taken):
    """A run to start."""

    agent: Text = Field(
        max_length=100,
        description="Name of the agent; its newest version runs.",
        examples=["Accounts payable"],
    )
    goal: Text = Field("", max_length=20_000, description="Empty: the agent's own goal.")
    inputs: dict[str, Any] = Field(
        default_factory=dict,
        description="As the agent's `inputs` declares them.",
        examples=[{"week": "2026-W47", "report_to": "alice@accounts-payable.example"}],
    )


class RunHeaders(Schema):
    idempotency_key: Text = Field(
        "",
        max_length=200,
        alias="Idempotency-Key",
        description="Your name for this request. Repeated, it gives the run of the first one.",
        examples=["invoices-2026-W47"],
    )


class RunFilters(Paged):
    state: list[RunState] = Field(default_factory=list, description="Only runs in these states.")
    agent: Text = Field("", max_length=100, description="Only runs of the agent of this name.")
    text: Text = Field(
        "", max_length=200, description="Only runs whose goal holds it, or whose id begins so."
    )


class CancelIn(Taken):
    reason: Text = Field("", max_length=2_000, examples=["The supplier withdrew the invoice."])


class StepFilters(Schema):
    after: int = Field(0, ge=0, le=2**31 - 1, description="Only steps with a higher `number`.")


class EventFilters(Schema):
    after: int = Field(0, ge=0, le=2**31 - 1, description="Only events with a higher `seq`.")
    limit: int = Field(100, ge=1, le=MAX_PAGE)


class StreamHeaders(Schema):
    last_event_id: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        alias="Last-Event-ID",
        description="The `id` of the last event you have; the stream goes on after it.",
    )


class ApprovalFilters(Paged):
    run: UUID | None = Field(None, description="Only requests of this run, in any state.")
    state: list[ApprovalState] = Field(
        default_factory=list,
        description="Only requests in these states; without it and `run`, the open ones.",
    )


class EntryFilters(Paged):
    action: list[Text] = Field(default_factory=list, description="Such as `run.started`.")
    actor: Text = Field("", max_length=100, description="Id of whoever did it.")
    subject: Text = Field("", max_length=100, description="Id of what it was done to.")
    run: UUID | None = None


class RunOut(Schema):
    """One run as lists show it. `cost_micros`: millionths of `currency`."""

    id: UUID
    agent: str
    agent_number: int
    goal: str
    state: RunState
    reason: str = Field(description="Why it ended as it did, for people; else empty.")
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
    answer: Any = Field(description="What the agent answered; null until then.")
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

    seq: int = Field(description="1, 2, 3, … within the run, without holes.")
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
    state: ApprovalState
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
    """One policy version with its Cedar text and required tests."""

    text: str
    tests: list[Any]


class RunPage(PageOut[RunOut]):
    pass


class StepPage(PageOut[StepOut]):
    pass


class EventPage(PageOut[EventOut]):
    pass


class ApprovalPage(PageOut[ApprovalOut]):
    pass


class EntryPage(PageOut[EntryOut]):
    pass


class AgentPage(PageOut[AgentOut]):
    pass


class ToolPage(PageOut[ToolOut]):
    pass


class ModelPage(PageOut[ModelOut]):
    pass


class PolicyPage(PageOut[PolicyOut]):
    pass
