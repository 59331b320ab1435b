"""Runs, their steps and events, as the API takes and says them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from agents.models import RunState
from countersign.api.schemas.base import MAX_PAGE, Paged, PageOut, Taken, Text


class FileLabel(StrEnum):
    UNTRUSTED = "untrusted"
    PERSONAL = "personal"
    CONFIDENTIAL = "confidential"


class FileIn(Taken):
    """A file for a run; programs find it in `in/`."""

    name: Text = Field(max_length=200, examples=["week.csv"])
    content: Text = Field(description="Its bytes in base64.", examples=["dmVuZG9yLGNlbnRzCg=="])


class ReferenceIn(Taken):
    """A file of an earlier run; it keeps the labels that it has."""

    artifact: UUID = Field(description="`id` of one of `/runs/{run_id}/artifacts`.")


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
    files: list[FileIn | ReferenceIn] = Field(
        default_factory=list,
        max_length=10,
        description="Small ones, together at most 1.8 MB; larger ones go to `/runs/upload`. "
        "Files of earlier runs need the scope `runs:read`.",
    )
    file_labels: list[FileLabel] = Field(
        default_factory=lambda: [FileLabel.UNTRUSTED],
        max_length=3,
        description="What is in the files. Leave `untrusted` out only where you answer for who "
        "wrote them: their text may then decide who is paid or told.",
    )


class RunForm(Taken):
    """A run to start, as a form; its files are the parts named `file`."""

    agent: Text = Field(max_length=100, examples=["Accounts payable"])
    goal: Text = Field("", max_length=20_000, description="Empty: the agent's own goal.")
    inputs: Text = Field(
        "{}",
        max_length=1_000_000,
        description="As the agent's `inputs` declares them: a JSON object.",
        examples=['{"week": "2026-W47", "report_to": "alice@accounts-payable.example"}'],
    )
    artifact: list[UUID] = Field(
        default_factory=list,
        max_length=10,
        description="Files of earlier runs, with the labels that they have; needs `runs:read`.",
    )
    file_labels: list[FileLabel] = Field(
        default_factory=list,
        max_length=3,
        description="What is in the files that are sent, besides `untrusted`.",
    )
    trusted: bool = Field(
        False,
        description="You answer for who wrote the files that are sent: their text may then decide "
        "who is paid or told.",
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
    masked: list[str] = Field(
        description="Arguments that a rule masks and that are not shown, nor what the error says: "
        "the token lacks `masks:open`."
    )
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


class ArtifactOut(Schema):
    """A file of a run; an answer names one as `{"artifact", "sha256", "bytes"}`."""

    id: UUID
    step: int = Field(description="The step that left it; 0: it came with the task.")
    name: str
    sha256: str
    size: int = Field(description="Bytes.")
    media_type: str = Field(description="What the content looks like, whatever its name says.")
    labels: list[str]
    created: datetime


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


class RunPage(PageOut[RunOut]):
    pass


class StepPage(PageOut[StepOut]):
    pass


class ArtifactPage(PageOut[ArtifactOut]):
    pass


class EventPage(PageOut[EventOut]):
    pass
