"""Frozen records that hold all a screen or an answer needs of agents, tools, models and runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from agents.budgets.limits import Limits
from agents.llm.endpoint import EndpointSpec
from agents.models import FINAL_STATES, CallState, Effect, RunState, StepState
from policies import masks

T = TypeVar("T")
CURRENCY = str({each.name: each.default for each in fields(EndpointSpec)}["currency"])
"""Of an endpoint that names none."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next ones begin ("" on the last page)."""

    rows: tuple[T, ...]
    next: str = ""


@dataclass(frozen=True)
class RunRow:
    """One run as lists show it. `cost_micros` are millionths of `currency`.

    Attributes:
        given: the inputs that are words or numbers, in one line: what tells runs of a goal apart.
    """

    id: UUID
    agent: str
    agent_number: int
    goal: str
    given: str
    state: RunState
    reason: str
    requester_type: str
    requester_id: str
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

    @property
    def short(self) -> str:
        return str(self.id)[:8]

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class RunDetail(RunRow):
    """One run with what it was given and what it answered."""

    agent_id: UUID
    agent_version_id: UUID
    model: str
    model_number: int
    inputs: Mapping[str, Any]
    answer: Any
    limits: Limits
    working_ms: int
    control_labels: tuple[str, ...]
    trace_parent: str


@dataclass(frozen=True)
class Rule:
    """A rule that decided, in words; `obligations` such as "mask:iban" follow from it."""

    id: str
    sentence: str
    reason: str
    shadow: bool
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionView:
    """Why something was allowed, refused or sent to people."""

    id: UUID
    outcome: str
    sentence: str
    rules: tuple[Rule, ...]
    errors: tuple[str, ...]
    facts: Mapping[str, Any]
    policy_number: int


@dataclass(frozen=True)
class Signature:
    """One person's answer to a request."""

    user_id: str
    name: str
    answer: str
    meaning: str
    comment: str
    time: datetime


@dataclass(frozen=True)
class ApprovalView:
    """One request for signatures of a step; whether its effects happened stands with the calls."""

    id: UUID
    kind: str
    title: str
    headline: str
    state: str
    needed: int
    votes: tuple[Signature, ...]
    sign_by: datetime
    execute_by: datetime
    consumed: datetime | None

    @property
    def signed(self) -> int:
        return sum(vote.answer == "sign" for vote in self.votes)


@dataclass(frozen=True)
class CallView:
    """One tool call with its outcome; of its result only what it is and how it begins.

    Attributes:
        result_kind: JSON type of the result, "" while there is none.
        result_rows: length of a list, else None.
        result_start: its first characters as JSON text.
        token: how later effects of the manifest refer to the result.
    """

    id: UUID
    step: int
    seq: int
    tool: str
    tool_number: int
    effect: Effect
    tier: int
    labels: tuple[str, ...]
    roles: Mapping[str, str]
    arguments: Mapping[str, Any]
    origins: Mapping[str, Any]
    state: CallState
    result_kind: str
    result_rows: int | None
    result_start: str
    error: Mapping[str, Any]
    duration_ms: int
    manifest: int | None
    position: int | None
    token: str
    approval_request_id: UUID | None
    decision: DecisionView | None
    created: datetime
    ended: datetime | None

    @property
    def masked(self) -> frozenset[str]:
        """Arguments that rules of its decision mask."""
        rules = () if self.decision is None else self.decision.rules
        named = masks.masked({"obligations": rule.obligations} for rule in rules)
        return named & self.arguments.keys()


@dataclass(frozen=True)
class CallDetail(CallView):
    """One tool call with its whole result, which may be large."""

    result: Any


@dataclass(frozen=True)
class StepView:
    """One turn of the loop with everything that belongs to it.

    Attributes:
        stdout: what the program printed; in lists of steps its first `OUTPUT_START` characters.
        stdout_bytes: all that it printed, also what the limit cut off.
    """

    id: UUID
    number: int
    state: StepState
    thought: str
    code: str
    status: str
    stdout: str
    stdout_bytes: int
    value: Any
    error: Mapping[str, Any]
    final: Any
    observation: str
    tokens: int
    tokens_estimated: bool
    cost_micros: int
    model_ms: int
    jail_ms: int
    created: datetime
    ended: datetime | None
    decision: DecisionView | None
    approvals: tuple[ApprovalView, ...]
    calls: tuple[CallView, ...]


@dataclass(frozen=True)
class ToolView:
    """One version of a tool."""

    id: UUID
    tool_id: UUID
    name: str
    number: int
    digest: str
    kind: str
    target: str
    operation: Mapping[str, Any]
    description: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]
    effect: Effect
    tier: int
    labels: tuple[str, ...]
    roles: Mapping[str, str]
    idempotent: bool
    timeout_s: float
    max_result_bytes: int
    registered_by: str
    created: datetime


@dataclass(frozen=True)
class EndpointView:
    """One version of a model endpoint; the key itself is nowhere in the database."""

    id: UUID
    name: str
    number: int
    digest: str
    kind: str
    base_url: str
    model: str
    api_key_ref: str
    settings: Mapping[str, Any]
    labels: tuple[str, ...]
    scripted: bool
    registered_by: str
    created: datetime

    @property
    def currency(self) -> str:
        return str(self.settings.get("currency", CURRENCY))


@dataclass(frozen=True)
class AgentVersionView:
    """One version of an agent."""

    id: UUID
    agent_id: UUID
    name: str
    number: int
    digest: str
    description: str
    instructions: str
    goal: str
    mode: str
    agency: int
    endpoint: EndpointView
    tools: tuple[ToolView, ...]
    limits: Limits
    budgets: Mapping[str, Any]
    inputs: Mapping[str, Any]
    checks: tuple[Any, ...]
    imports: tuple[str, ...]
    runtime: str
    registered_by: str
    created: datetime

    @property
    def writes(self) -> int:
        """How many of its tools write."""
        return sum(tool.effect == Effect.WRITE for tool in self.tools)


@dataclass(frozen=True)
class VersionName:
    """What a version's hash stands for; ``kind`` is "agent", "model" or "tool"."""

    kind: str
    name: str
    number: int


@dataclass(frozen=True)
class AgentRow:
    """An agent as lists show it: its newest version and what it has done."""

    version: AgentVersionView
    runs: int
    last_run: datetime | None


@dataclass(frozen=True)
class RunCounts:
    """How many runs of the workspace stand where."""

    by_state: Mapping[str, int]

    @property
    def open(self) -> int:
        return sum(n for state, n in self.by_state.items() if state not in FINAL_STATES)
