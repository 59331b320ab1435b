"""What doors read of agents, tools, models and runs. The only readers of these tables for doors.

Every function opens the workspace's transaction, reads, and gives frozen records that hold all a
screen needs: nothing is fetched later, and another workspace's row is `NotFound`.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    F,
    Func,
    IntegerField,
    Max,
    Q,
    QuerySet,
    TextField,
    When,
)
from django.db.models.functions import Cast, Greatest, Left, Now
from django.utils.dateparse import parse_datetime

from agents.errors import NotFound, Refused
from agents.limits import Limits
from agents.models import (
    FINAL_STATES,
    Agent,
    AgentTool,
    AgentVersion,
    Call,
    CallState,
    Effect,
    ModelEndpoint,
    Run,
    RunState,
    Step,
    StepState,
    Tool,
    ToolVersion,
)
from audit.transactions import in_workspace
from policies.models import ApprovalRequest, DecisionRecord

T = TypeVar("T")

PAGE_SIZE = 50
OUTPUT_START = 4000
RESULT_START = 200


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next ones begin ("" on the last page)."""

    rows: tuple[T, ...]
    next: str = ""


@dataclass(frozen=True)
class RunRow:
    """One run as lists show it. `cost_micros` are millionths of `currency`."""

    id: UUID
    agent: str
    agent_number: int
    goal: str
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
    """A rule that decided, in words."""

    id: str
    sentence: str
    reason: str
    shadow: bool


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


# Runs


def runs(
    workspace_id: UUID,
    *,
    states: Sequence[str] = (),
    agent: str = "",
    text: str = "",
    requester_id: str = "",
    after: str = "",
    limit: int = PAGE_SIZE,
) -> Page[RunRow]:
    """Runs, newest first.

    Args:
        workspace_id: the workspace.
        states: only these; unknown words match nothing.
        agent: only runs of the agent of this name.
        text: only runs whose goal holds it, or whose id starts with it.
        requester_id: only runs this person or service account started.
        after: `Page.next` of the page before.
        limit: rows on the page, 1 to 200.

    Raises:
        Refused: `after` is not one of ours.
    """
    with in_workspace(workspace_id):
        found = _runs_of(workspace_id)
        if states:
            found = found.filter(state__in=list(states))
        if agent:
            found = found.filter(agent_version__agent__name=agent)
        if requester_id:
            found = found.filter(requester_id=requester_id)
        if text:
            found = found.filter(_about(text))
        if after:
            created, last = _position(after)
            found = found.filter(Q(created__lt=created) | Q(created=created, id__lt=last))
        size = max(1, min(limit, 200))
        rows = list(found.order_by("-created", "-id")[: size + 1])
        more = _cursor(rows[size - 1]) if len(rows) > size else ""
        return Page(tuple(_run_row(run) for run in rows[:size]), more)


def run(workspace_id: UUID, run_id: UUID) -> RunDetail:
    """One run.

    Raises:
        NotFound: this workspace has no such run.
    """
    with in_workspace(workspace_id):
        found = _runs_of(workspace_id).filter(id=run_id).first()
        if found is None:
            raise NotFound(f"no run {run_id}")
        version = found.agent_version
        return RunDetail(
            **_row_fields(found),
            agent_id=version.agent_id,
            agent_version_id=version.id,
            model=version.endpoint.model,
            model_number=version.endpoint.number,
            inputs=found.inputs,
            answer=found.answer,
            limits=Limits.from_json(version.limits),
            working_ms=found.working_ms,
            control_labels=tuple(found.control_labels),
            trace_parent=found.trace_parent,
        )


def steps(workspace_id: UUID, run_id: UUID, *, after: int = -1) -> tuple[StepView, ...]:
    """The steps of a run in order, those numbered above `after`, with the start of their output."""
    with in_workspace(workspace_id):
        found = list(
            _steps(workspace_id, run_id)
            .filter(number__gt=after)
            .defer("stdout", "reply")
            .annotate(output=Left("stdout", OUTPUT_START))
        )
        calls = _by_step(_calls(workspace_id).filter(run_id=run_id))
        requests = _requests(workspace_id, run_id)
        return tuple(
            _step_view(step, calls.get(step.id, ()), requests.get(step.number, ()))
            for step in found
        )


def step(workspace_id: UUID, run_id: UUID, number: int) -> StepView:
    """One step with its whole output.

    Raises:
        NotFound: this workspace has no such run, or the run no such step.
    """
    with in_workspace(workspace_id):
        found = _steps(workspace_id, run_id).filter(number=number).first()
        if found is None:
            raise NotFound(f"no step {number} in run {run_id}")
        found.output = found.stdout
        calls = _by_step(_calls(workspace_id).filter(step_id=found.id))
        requests = _requests(workspace_id, run_id)
        return _step_view(found, calls.get(found.id, ()), requests.get(number, ()))


def call(workspace_id: UUID, run_id: UUID, call_id: UUID) -> CallDetail:
    """One tool call with its whole result.

    Raises:
        NotFound: this workspace has no such call in this run.
    """
    with in_workspace(workspace_id):
        found = _calls(workspace_id).filter(run_id=run_id, id=call_id).defer(None).first()
        if found is None:
            raise NotFound(f"no call {call_id} in run {run_id}")
        return CallDetail(**_call_fields(found), result=found.result)


def request_calls(workspace_id: UUID, request_id: UUID) -> tuple[CallView, ...]:
    """The effects an approval request covers, in the order that was signed."""
    with in_workspace(workspace_id):
        found = _calls(workspace_id).filter(approval_request_id=request_id)
        return tuple(_call_view(each) for each in found.order_by("step__number", "position"))


def run_fingerprint(workspace_id: UUID, run_id: UUID) -> str:
    """A text that changes whenever something of the run does that a screen shows.

    Raises:
        NotFound: this workspace has no such run.
    """
    with in_workspace(workspace_id):
        found = Run.objects.filter(workspace_id=workspace_id, id=run_id).only("id")
        row = found.values_list("state", "reason", "steps_taken", "cost_micros", "ended").first()
        if row is None:
            raise NotFound(f"no run {run_id}")
        of_run = Q(workspace_id=workspace_id, run_id=run_id)
        parts = [
            row,
            *Step.objects.filter(of_run).order_by("number").values_list("state", "ended"),
            *Call.objects.filter(of_run)
            .order_by("state")
            .values_list("state")
            .annotate(Count("id")),
            *ApprovalRequest.objects.filter(of_run)
            .order_by("created", "id")
            .values_list("state")
            .annotate(Count("votes")),
        ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def calls_in_doubt(workspace_id: UUID) -> tuple[tuple[RunRow, CallView], ...]:
    """Effects of which nobody knows whether they happened, oldest first."""
    with in_workspace(workspace_id):
        found = (
            _calls(workspace_id)
            .filter(state=CallState.UNKNOWN)
            .select_related("run__agent_version__agent", "run__agent_version__endpoint")
            .order_by("created")
        )
        return tuple((_run_row(call.run), _call_view(call)) for call in found)


def oldest_due(workspace_id: UUID) -> datetime | None:
    """Since when the run that has waited longest could have been taken by a worker."""
    with in_workspace(workspace_id):
        now = Now()
        found = (
            Run.objects.filter(workspace_id=workspace_id)
            .filter(
                Q(state=RunState.QUEUED) & (Q(wake_at__isnull=True) | Q(wake_at__lte=now))
                | Q(state=RunState.RUNNING, lease_until__lt=now)
            )
            .annotate(
                since=Greatest(
                    "created", "lease_until", "wake_at", Max("steps__approval_request__closed")
                )
            )
            .order_by("since")
        )
        return found.values_list("since", flat=True).first()


def run_counts(workspace_id: UUID) -> RunCounts:
    """How many runs stand in each state."""
    with in_workspace(workspace_id):
        found = Run.objects.filter(workspace_id=workspace_id).order_by().values_list("state")
        return RunCounts(dict(found.annotate(Count("id"))))


# Agents


def agents(workspace_id: UUID) -> tuple[AgentRow, ...]:
    """Every agent with its newest version, by name."""
    with in_workspace(workspace_id):
        newest = (
            _agent_versions(workspace_id).order_by("agent__name", "-number").distinct("agent__name")
        )
        used = _use(workspace_id)
        tools = _tools_of([version.id for version in newest])
        return tuple(
            AgentRow(_agent_view(version, tools), *used.get(version.agent_id, (0, None)))
            for version in newest
        )


def agent_versions(workspace_id: UUID, name: str) -> tuple[AgentVersionView, ...]:
    """Every version of one agent, newest first.

    Raises:
        NotFound: this workspace has no agent of that name.
    """
    with in_workspace(workspace_id):
        if not Agent.objects.filter(workspace_id=workspace_id, name=name).exists():
            raise NotFound(f"no agent {name}")
        found = list(_agent_versions(workspace_id).filter(agent__name=name).order_by("-number"))
        tools = _tools_of([version.id for version in found])
        return tuple(_agent_view(version, tools) for version in found)


def agent_version(workspace_id: UUID, version_id: UUID) -> AgentVersionView:
    """One version of an agent by its id.

    Raises:
        NotFound: this workspace has no such version.
    """
    with in_workspace(workspace_id):
        found = _agent_versions(workspace_id).filter(id=version_id).first()
        if found is None:
            raise NotFound(f"no agent version {version_id}")
        return _agent_view(found, _tools_of([found.id]))


# Tools


def tools(workspace_id: UUID) -> tuple[ToolView, ...]:
    """The newest version of every tool, by name."""
    with in_workspace(workspace_id):
        found = _tool_versions(workspace_id).order_by("tool__name", "-number")
        return tuple(_tool_view(version) for version in found.distinct("tool__name"))


def tool_versions(workspace_id: UUID, name: str) -> tuple[ToolView, ...]:
    """Every version of one tool, newest first.

    Raises:
        NotFound: this workspace has no tool of that name.
    """
    with in_workspace(workspace_id):
        if not Tool.objects.filter(workspace_id=workspace_id, name=name).exists():
            raise NotFound(f"no tool {name}")
        found = _tool_versions(workspace_id).filter(tool__name=name).order_by("-number")
        return tuple(_tool_view(version) for version in found)


def agents_with_tool(workspace_id: UUID, name: str) -> tuple[tuple[str, int, int], ...]:
    """(agent, version of the agent, version of the tool) wherever the tool may be called."""
    with in_workspace(workspace_id):
        found = AgentTool.objects.filter(
            workspace_id=workspace_id, tool_version__tool__name=name
        ).order_by("agent_version__agent__name", "-agent_version__number")
        return tuple(
            found.values_list(
                "agent_version__agent__name", "agent_version__number", "tool_version__number"
            )
        )


# Models


def endpoints(workspace_id: UUID) -> tuple[EndpointView, ...]:
    """The newest version of every model endpoint, by name."""
    with in_workspace(workspace_id):
        found = ModelEndpoint.objects.filter(workspace_id=workspace_id)
        newest = found.order_by("name", "-number").distinct("name")
        return tuple(_endpoint_view(endpoint) for endpoint in newest)


def endpoint_versions(workspace_id: UUID, name: str) -> tuple[EndpointView, ...]:
    """Every version of one endpoint, newest first.

    Raises:
        NotFound: this workspace has no endpoint of that name.
    """
    with in_workspace(workspace_id):
        found = ModelEndpoint.objects.filter(workspace_id=workspace_id, name=name)
        versions = tuple(_endpoint_view(endpoint) for endpoint in found.order_by("-number"))
    if not versions:
        raise NotFound(f"no model {name}")
    return versions


# How rows become records


def _runs_of(workspace_id: UUID) -> QuerySet[Run]:
    return Run.objects.filter(workspace_id=workspace_id).select_related(
        "agent_version__agent", "agent_version__endpoint"
    )


def _about(text: str) -> Q:
    wanted = Q(goal__icontains=text)
    digits = text.strip().lower().replace("-", "")
    if 4 <= len(digits) <= 32 and not set(digits) - set("0123456789abcdef"):
        # An id is looked up as a range, so that the primary key's index serves it.
        wanted |= Q(id__gte=UUID(digits.ljust(32, "0")), id__lte=UUID(digits.ljust(32, "f")))
    return wanted


def _cursor(run: Run) -> str:
    text = f"{run.created.isoformat()} {run.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        text = base64.urlsafe_b64decode(padded).decode()
        time, _, last = text.partition(" ")
        created = parse_datetime(time)
        if created is None or created.tzinfo is None:
            raise ValueError(time)
        return created, UUID(last)
    except (ValueError, binascii.Error) as error:
        raise Refused("This page address is damaged. Start again from the first page.") from error


def _run_row(run: Run) -> RunRow:
    return RunRow(**_row_fields(run))


def _row_fields(run: Run) -> dict[str, Any]:
    version = run.agent_version
    return {
        "id": run.id,
        "agent": version.agent.name,
        "agent_number": version.number,
        "goal": run.goal,
        "state": RunState(run.state),
        "reason": run.reason,
        "requester_type": run.requester_type,
        "requester_id": run.requester_id,
        "requester_name": run.requester_name,
        "steps_taken": run.steps_taken,
        "calls_made": run.calls_made,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_micros": run.cost_micros,
        "currency": str(version.endpoint.settings.get("currency", "")),
        "scripted": version.endpoint.scripted,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
    }


def _steps(workspace_id: UUID, run_id: UUID) -> QuerySet[Step]:
    return (
        Step.objects.filter(workspace_id=workspace_id, run_id=run_id)
        .select_related("decision__policy_version")
        .order_by("number")
    )


def _calls(workspace_id: UUID) -> QuerySet[Call]:
    """Calls without their results, which the database describes instead of sending."""
    kind: Func = Func(F("result"), function="jsonb_typeof", output_field=TextField())
    rows: Func = Func(F("result"), function="jsonb_array_length", output_field=IntegerField())
    return (
        Call.objects.filter(workspace_id=workspace_id)
        .select_related("tool_version__tool", "step", "decision__policy_version")
        .defer("result", "step__stdout", "step__reply")
        .annotate(
            result_kind=kind,
            result_rows=Case(When(result_kind="array", then=rows)),
            result_start=Left(Cast("result", TextField()), RESULT_START),
        )
        .order_by("step__number", "seq")
    )


def _by_step(calls: Iterable[Call]) -> dict[UUID, list[CallView]]:
    found: dict[UUID, list[CallView]] = {}
    for call in calls:
        found.setdefault(call.step_id, []).append(_call_view(call))
    return found


def _requests(workspace_id: UUID, run_id: UUID) -> dict[int, tuple[ApprovalView, ...]]:
    found: dict[int, tuple[ApprovalView, ...]] = {}
    requests = (
        ApprovalRequest.objects.filter(workspace_id=workspace_id, run_id=run_id)
        .select_related("approval")
        .prefetch_related("votes")
        .order_by("created", "id")
    )
    for request in requests:
        number = request.step if request.step is not None else -1
        found[number] = (*found.get(number, ()), _approval_view(request))
    return found


def _approval_view(request: ApprovalRequest) -> ApprovalView:
    approval = getattr(request, "approval", None)
    votes = sorted(request.votes.all(), key=lambda vote: vote.created)
    return ApprovalView(
        id=request.id,
        kind=request.kind,
        title=request.title,
        headline=str(request.displayed.get("headline", request.title)),
        state=request.state,
        needed=sum(int(part["count"]) for part in request.requirement),
        votes=tuple(
            Signature(
                str(vote.user_id),
                vote.user_name,
                vote.answer,
                vote.meaning,
                vote.comment,
                vote.created,
            )
            for vote in votes
        ),
        sign_by=request.sign_by,
        execute_by=request.execute_by,
        consumed=approval.consumed_at if approval is not None else None,
    )


def _decision_view(decision: DecisionRecord | None) -> DecisionView | None:
    if decision is None:
        return None
    rules = (
        Rule(
            str(rule["id"]),
            str(rule.get("sentence", "")),
            str(rule.get("reason", "")),
            bool(rule.get("shadow", False)),
        )
        for rule in decision.rules
    )
    return DecisionView(
        id=decision.id,
        outcome=decision.outcome,
        sentence=decision.sentence,
        rules=tuple(rules),
        errors=tuple(decision.errors),
        facts=decision.facts or {},
        policy_number=decision.policy_version.number,
    )


def _call_view(call: Call) -> CallView:
    return CallView(**_call_fields(call))


def _call_fields(call: Call) -> dict[str, Any]:
    version = call.tool_version
    return {
        "id": call.id,
        "step": call.step.number,
        "seq": call.seq,
        "tool": version.tool.name,
        "tool_number": version.number,
        "effect": Effect(version.effect),
        "tier": version.tier,
        "labels": tuple(version.labels),
        "roles": version.roles,
        "arguments": call.arguments,
        "origins": call.origins,
        "state": CallState(call.state),
        "result_kind": call.result_kind or "",
        "result_rows": call.result_rows,
        "result_start": call.result_start or "",
        "error": call.error or {},
        "duration_ms": call.duration_ms,
        "manifest": call.manifest,
        "position": call.position,
        "token": call.token,
        "approval_request_id": call.approval_request_id,
        "decision": _decision_view(call.decision),
        "created": call.created,
        "ended": call.ended,
    }


def _step_view(
    step: Step, calls: Iterable[CallView], approvals: tuple[ApprovalView, ...]
) -> StepView:
    return StepView(
        id=step.id,
        number=step.number,
        state=StepState(step.state),
        thought=step.thought,
        code=step.code,
        status=step.status,
        stdout=step.output,
        stdout_bytes=step.stdout_bytes,
        value=step.value,
        error=step.error or {},
        final=step.final,
        observation=step.observation,
        tokens=step.input_tokens + step.output_tokens,
        tokens_estimated=step.tokens_estimated,
        cost_micros=step.cost_micros,
        model_ms=step.model_ms,
        jail_ms=step.jail_ms,
        created=step.created,
        ended=step.ended,
        decision=_decision_view(step.decision),
        approvals=approvals,
        calls=tuple(calls),
    )


def _agent_versions(workspace_id: UUID) -> QuerySet[AgentVersion]:
    return AgentVersion.objects.filter(workspace_id=workspace_id).select_related(
        "agent", "endpoint"
    )


def _tool_versions(workspace_id: UUID) -> QuerySet[ToolVersion]:
    return ToolVersion.objects.filter(workspace_id=workspace_id).select_related("tool")


def _tools_of(version_ids: Sequence[UUID]) -> dict[UUID, tuple[ToolView, ...]]:
    found: dict[UUID, tuple[ToolView, ...]] = {}
    links = (
        AgentTool.objects.filter(agent_version_id__in=version_ids)
        .select_related("tool_version__tool")
        .order_by("tool_version__tool__name")
    )
    for link in links:
        view = _tool_view(link.tool_version)
        found[link.agent_version_id] = (*found.get(link.agent_version_id, ()), view)
    return found


def _use(workspace_id: UUID) -> dict[UUID, tuple[int, datetime | None]]:
    rows = (
        Run.objects.filter(workspace_id=workspace_id)
        .order_by()
        .values_list("agent_version__agent_id")
        .annotate(Count("id"), Max("created"))
    )
    return {agent_id: (count, last) for agent_id, count, last in rows}


def _tool_view(version: ToolVersion) -> ToolView:
    return ToolView(
        id=version.id,
        tool_id=version.tool_id,
        name=version.tool.name,
        number=version.number,
        digest=version.digest,
        kind=version.kind,
        target=version.target,
        description=version.description,
        parameters=version.parameters,
        result=version.result,
        effect=Effect(version.effect),
        tier=version.tier,
        labels=tuple(version.labels),
        roles=version.roles,
        idempotent=version.idempotent,
        timeout_s=version.timeout_s,
        max_result_bytes=version.max_result_bytes,
        registered_by=version.registered_by,
        created=version.created,
    )


def _endpoint_view(endpoint: ModelEndpoint) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        name=endpoint.name,
        number=endpoint.number,
        digest=endpoint.digest,
        kind=endpoint.kind,
        base_url=endpoint.base_url,
        model=endpoint.model,
        api_key_ref=endpoint.api_key_ref,
        settings=endpoint.settings,
        labels=tuple(endpoint.labels),
        scripted=endpoint.scripted,
        registered_by=endpoint.registered_by,
        created=endpoint.created,
    )


def _agent_view(
    version: AgentVersion, tools: Mapping[UUID, tuple[ToolView, ...]]
) -> AgentVersionView:
    return AgentVersionView(
        id=version.id,
        agent_id=version.agent_id,
        name=version.agent.name,
        number=version.number,
        digest=version.digest,
        description=version.description,
        instructions=version.instructions,
        goal=version.goal,
        mode=version.mode,
        agency=version.agency,
        endpoint=_endpoint_view(version.endpoint),
        tools=tools.get(version.id, ()),
        limits=Limits.from_json(version.limits),
        inputs=version.inputs,
        checks=tuple(version.checks),
        imports=tuple(version.imports),
        runtime=version.runtime,
        registered_by=version.registered_by,
        created=version.created,
    )
