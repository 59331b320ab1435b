"""Runs, steps and calls, as doors read them."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from textwrap import shorten
from typing import Any
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

from agents.budgets.limits import Limits
from agents.errors import NotFound, Refused
from agents.models import Call, CallState, Effect, Run, RunState, Step, StepState
from agents.selectors.records import (
    CURRENCY,
    ApprovalView,
    CallDetail,
    CallView,
    DecisionView,
    Page,
    Rule,
    RunCounts,
    RunDetail,
    RunRow,
    Signature,
    StepView,
)
from audit.transactions import in_workspace
from policies.models import ApprovalRequest, DecisionRecord

PAGE_SIZE = 50
OUTPUT_START = 4000
RESULT_START = 200
GIVEN_LENGTH = 80


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
        "given": _given(run.inputs),
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
        "currency": str(version.endpoint.settings.get("currency", CURRENCY)),
        "scripted": version.endpoint.scripted,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
    }


def _given(inputs: Mapping[str, Any]) -> str:
    plain = [str(value) for value in inputs.values() if isinstance(value, str | int | float)]
    return shorten(", ".join(plain), GIVEN_LENGTH, placeholder=" …")


def _steps(workspace_id: UUID, run_id: UUID) -> QuerySet[Step]:
    return (
        Step.objects.filter(workspace_id=workspace_id, run_id=run_id)
        .select_related("decision__policy_version")
        .order_by("number")
    )


def _calls(workspace_id: UUID) -> QuerySet[Call]:
    """Calls without their results, which the database describes instead of sending."""
    kind: Func = Func(F("result"), function="json_typeof", output_field=TextField())
    rows: Func = Func(F("result"), function="json_array_length", output_field=IntegerField())
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
            tuple(rule.get("obligations", ())),
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
    version, described = call.tool_version, vars(call)
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
        "result_kind": described["result_kind"] or "",
        "result_rows": described["result_rows"],
        "result_start": described["result_start"] or "",
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
        stdout=vars(step).get("output", vars(step).get("stdout", "")),
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
