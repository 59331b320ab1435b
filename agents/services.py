"""What doors may do to runs: start, stop, vote, ask, settle an effect in doubt.

Each is one transaction: check, change, record, and wake a worker on commit. What a worker does to a
run is written by `journal`, under its lease.
"""

from datetime import UTC, datetime
from uuid import UUID

import jsonschema

from agents import entries, tracing
from agents.approvals import editing
from agents.errors import NotFound
from agents.models import FINAL_STATES, Call, CallState, Run, RunState
from agents.starting import Started, run_start, wake
from agents.worker.leases import locked
from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import services as policies
from policies.directory import directory
from policies.errors import Reason, Refusal
from policies.models import OPEN_STATES, Answer, ApprovalRequest, Meaning
from policies.services import VoteResult

__all__ = [
    "Started",
    "approval_ask",
    "approval_edit",
    "approval_inform",
    "approval_lapse",
    "approval_reassign",
    "approval_vote",
    "call_resolve",
    "run_cancel",
    "run_start",
    "wake",
]


def run_cancel(*, workspace_id: UUID, run_id: UUID, actor: Actor, reason: str = "") -> Run:
    """Stop a run at once; effects already made stay. A run that has ended stays as it is.

    The run says who stopped it, and why.

    Its worker loses the lease: the next write of any kind fails, its jail ends within a second.

    Raises:
        NotFound: no such run in this workspace.
    """
    with in_workspace(workspace_id):
        run = _locked(run_id)
        if run.state in FINAL_STATES:
            return run
        now = datetime.now(UTC)
        for request in ApprovalRequest.objects.filter(run_id=run.id, state__in=OPEN_STATES):
            policies.approval_cancel(
                workspace_id=workspace_id, request_id=request.id, actor=actor, now=now
            )
        run.state = RunState.CANCELLED
        run.reason = _stopped(actor, canonical.clean(reason.strip()))
        run.ended, run.wake_at = now, None
        run.epoch += 1
        run.lease_owner, run.lease_until = "", None
        run.save()
        record(workspace_id, [entries.ended(run, actor)])
    return run


def _stopped(actor: Actor, why: str) -> str:
    """Who stopped a run, and why where they said it."""
    return f"Stopped by {actor.name}: {why}" if why else f"Stopped by {actor.name}."


def approval_vote(
    *,
    workspace_id: UUID,
    request_id: UUID,
    voter: Actor,
    answer: Answer,
    meaning: Meaning,
    comment: str,
    displayed_digest: str,
    reauthenticated_at: datetime,
) -> VoteResult:
    """Cast a vote, and wake the run when the request is decided by it.

    A refused vote is a value (`VoteResult.refusal`): its audit entry is committed.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        run = _run_of(request_id)
        with tracing.voting(run) as span:
            result = policies.vote_cast(
                workspace_id=workspace_id,
                request_id=request_id,
                voter=voter,
                answer=answer,
                meaning=meaning,
                comment=comment,
                displayed_digest=displayed_digest,
                reauthenticated_at=reauthenticated_at,
                now=datetime.now(UTC),
            )
            tracing.voted(span, answer, result)
            if run is not None and result.state is not None and result.state not in OPEN_STATES:
                tracing.settled(ApprovalRequest.objects.get(id=request_id))
                _requeue(run, RunState.AWAITING_APPROVAL)
    return result


def approval_ask(
    *, workspace_id: UUID, request_id: UUID, asker: Actor, text: str
) -> Refusal | None:
    """Ask whoever made the request; both clocks keep running.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        _run_of(request_id)
        return policies.approval_ask(
            workspace_id=workspace_id,
            request_id=request_id,
            asker=asker,
            text=text,
            now=datetime.now(UTC),
        )


def approval_inform(
    *, workspace_id: UUID, request_id: UUID, informer: Actor, text: str
) -> Refusal | None:
    """Answer a reviewer's question; any member of the workspace may.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        _run_of(request_id)
        return policies.approval_inform(
            workspace_id=workspace_id,
            request_id=request_id,
            informer=informer,
            text=text,
            now=datetime.now(UTC),
        )


def approval_edit(
    *, workspace_id: UUID, request_id: UUID, editor: Actor, code: str, reason: str = ""
) -> Refusal | None:
    """Put a reviewer's program in place of the one to be signed: a new step, decided anew.

    Raises:
        policies.errors.NotFound: no such request of a run in this workspace.
    """
    with in_workspace(workspace_id):
        run, refusal = editing.approval_edit(
            workspace_id=workspace_id,
            request_id=request_id,
            editor=editor,
            code=code,
            reason=reason,
        )
        if refusal is None:
            _requeue(run, RunState.AWAITING_APPROVAL)
        return refusal


def approval_reassign(
    *,
    workspace_id: UUID,
    request_id: UUID,
    actor: Actor,
    reason: str,
    to: str = "",
    role: str = "",
) -> Refusal | None:
    """Hand a request to another person, or to a group of reviewers; who may sign it is mailed.

    Raises:
        policies.errors.NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        _run_of(request_id)
        return policies.approval_reassign(
            workspace_id=workspace_id,
            request_id=request_id,
            actor=actor,
            to=to,
            role=role,
            reason=reason,
            now=datetime.now(UTC),
        )


def approval_lapse(*, workspace_id: UUID, request_id: UUID) -> None:
    """Expire a request whose clock has run out, and wake its run to end as `expired`."""
    with in_workspace(workspace_id):
        run = _run_of(request_id)
        lapsed = policies.approval_expire(
            workspace_id=workspace_id, request_id=request_id, now=datetime.now(UTC)
        )
        if run is not None and lapsed:
            _requeue(run, RunState.AWAITING_APPROVAL)


def approval_renew(*, workspace_id: UUID, request_id: UUID) -> None:
    """Wake the run of a request that another policy asked for: the step is decided anew."""
    with in_workspace(workspace_id):
        run = _run_of(request_id)
        if run is not None:
            _requeue(run, RunState.AWAITING_APPROVAL)


def call_resolve(
    *,
    workspace_id: UUID,
    call_id: UUID,
    actor: Actor,
    happened: bool,
    result: JSON = None,
    comment: str = "",
) -> Refusal | None:
    """Record a person's word on an effect in doubt, and let the run go on.

    A result that is given stands where the tool's own would have stood, also in later effects of
    the same manifest; so whoever asked for the run may not give it.

    Args:
        happened: the effect took place, with `result`; otherwise it did not, and the run makes
            the same call again when it goes on (stop the run where it should not).

    Raises:
        NotFound: no such call in this workspace.
    """
    with in_workspace(workspace_id):
        call = Call.objects.filter(id=call_id).select_related("tool_version__tool", "step").first()
        if call is None:
            raise NotFound(f"There is no call {call_id} in this workspace.")
        run = _locked(call.run_id)
        refusal = _may_settle(run, actor)
        if refusal is not None:
            record(workspace_id, [_unsettled(run, call, actor, refusal)])
            return refusal
        call.refresh_from_db(fields=["state"])
        if call.state != CallState.UNKNOWN:
            return Refusal(Reason.STATE, "This effect is not in doubt (any more).")
        problem = _result_problem(call, result) if happened else None
        if problem:
            return Refusal(Reason.STATE, problem)
        call.state = CallState.SUCCEEDED if happened else CallState.CLEARED
        call.result = result if happened else None
        call.error = None
        call.ended = datetime.now(UTC) if happened else None
        call.save()
        record(workspace_id, [_resolved(run, call, actor, comment)])
        _requeue(run, RunState.AWAITING_INPUT)
    return None


def _locked(run_id: UUID) -> Run:
    try:
        return locked(run_id)
    except Run.DoesNotExist:
        raise NotFound(f"There is no run {run_id} in this workspace.") from None


def _run_of(request_id: UUID) -> Run | None:
    """The run a request belongs to, locked before the request is."""
    run_id = ApprovalRequest.objects.filter(id=request_id).values_list("run_id", flat=True).first()
    return _locked(run_id) if run_id else None


def _requeue(run: Run, waiting: RunState) -> None:
    if run.state != waiting:
        return
    run.state, run.reason, run.wake_at = RunState.QUEUED, "", None
    run.save()
    wake(run)


def _result_problem(call: Call, result: JSON) -> str:
    schema = call.tool_version.result
    problem = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(result)
    )
    return f"The result does not fit the tool's schema: {problem.message}" if problem else ""


def _may_settle(run: Run, actor: Actor) -> Refusal | None:
    """Why this actor's word on an effect of the run does not count."""
    roles = directory().roles(actor.id, run.workspace_id) if actor.type == "user" else frozenset()
    if not any(role == "operator" or role.startswith("reviewer") for role in roles):
        return Refusal(Reason.ROLE, "Settling an effect in doubt needs an operator or a reviewer.")
    behind = directory().behind(run.requester_id)
    if actor.id == run.requester_id or actor.id in behind:
        return Refusal(
            Reason.REQUESTER, "You asked for this run; someone else must say what happened."
        )
    return None


def _unsettled(run: Run, call: Call, actor: Actor, refusal: Refusal) -> Draft:
    return Draft(
        action="call.resolve_refused",
        actor=actor,
        subject=Subject("call", str(call.id), call.tool_version.digest),
        run=run.id,
        on_behalf_of=entries.requester(run),
        detail={"step": call.step.number, "seq": call.seq, "reason": refusal.reason.value},
    )


def _resolved(run: Run, call: Call, actor: Actor, comment: str) -> Draft:
    return Draft(
        action="call.resolved",
        actor=actor,
        subject=Subject("call", str(call.id), call.tool_version.digest),
        run=run.id,
        on_behalf_of=entries.requester(run),
        detail={
            "step": call.step.number,
            "seq": call.seq,
            "happened": call.state == CallState.SUCCEEDED,
        },
        payloads={"result": call.result, "comment": canonical.clean(comment)},
    )
