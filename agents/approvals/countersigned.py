"""Holds what is about to run against what was decided and signed, from rows that nobody can change.

Runs, steps and calls are working rows: the application's role may update them, and so may whoever
gets hold of it. Decisions, requests, votes, approvals and log entries it can only add to. So:

1. A worker that takes a run up compares every program with its decision (`problem`).
2. Right before an effect that stands in the journal already, in the transaction of its intent, the
   worker asks for the approval it was signed in, or the decision that allowed it (`refusal`): still
   standing, used by this run, the signed entry at that place, and not made before.

A call that the program makes for the first time needs neither: it was decided this moment. Not
covered: results of earlier calls, and inputs of a run for which nobody has signed anything.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from agents.approvals import manifest
from agents.models import Call, Run, Step, StepState
from agents.session import Session
from agents.tools.errors import ToolArgumentError
from agents.tools.invoke import validate_arguments
from audit import canonical
from audit.canonical import JSON
from audit.models import Entry
from policies import services as policies
from policies.engine import Outcome
from policies.models import Approval, ApprovalRequest, DecisionRecord, Kind

UNDECIDED = "The program of step {number} is not what was decided on."
UNSIGNED = "This effect is not what was signed."
MADE_BEFORE = "This effect was made before."
HAS_RUN = frozenset({StepState.READY, StepState.EXECUTED})


def consumer(run: Run) -> str:
    """Who uses an approval: the run, whichever worker it is with."""
    return f"run {run.id}"


def standing(session: Session, step: Step) -> dict[str, JSON]:
    """The part of a binding that stays the same while a manifest is applied."""
    return {
        "workspace": str(session.lease.workspace_id),
        "run": str(session.run.id),
        "step": step.number,
        "requester": session.run.requester_id,
        "code": canonical.sha256_hex(step.code.encode()),
        "facts": step.facts_digest,
        "agent_version": session.version.digest,
        "tools": {tool.name: tool.version.digest for tool in session.tools.values()},
        "model": session.version.endpoint.digest,
        "runtime": session.runtime.digest,
        "limits": session.limits.to_json(),
    }


def problem(session: Session) -> str:
    """What is wrong with the programs of a run, as a sentence; "" if nothing is."""
    records = {
        record["id"]: record
        for record in DecisionRecord.objects.filter(
            run_id=session.run.id, call_seq=None, facts__isnull=False
        ).values("id", "step", "outcome", "facts__source_sha256")
    }
    signed = _signed_programs(session.run)
    for step in session.steps:
        record = records.get(step.decision_id) if step.decision_id else None
        if step.code and not _as_decided(step, record, signed):
            return UNDECIDED.format(number=step.number)
    return ""


def _as_decided(
    step: Step, record: Mapping[str, JSON] | None, signed: set[tuple[int, str]]
) -> bool:
    digest = canonical.sha256_hex(step.code.encode())
    if record is None or (record["step"], record["facts__source_sha256"]) != (step.number, digest):
        return False
    if step.state not in HAS_RUN or record["outcome"] == Outcome.ALLOW:
        return True
    return record["outcome"] == Outcome.REVIEW and (step.number, digest) in signed


def _signed_programs(run: Run) -> set[tuple[int, str]]:
    """Step and program of every approval that the run has used."""
    used = Approval.objects.filter(
        request__run_id=run.id, request__kind=Kind.CODE, consumed_by=consumer(run)
    ).values_list("request__step", "request__binding__code")
    return {(step, code) for step, code in used if step is not None}


def refusal(session: Session, step: Step, call: Call, results: Mapping[str, JSON]) -> str:
    """Why a journaled call may not be made now, as a sentence; "" if it may.

    Part of the transaction of the call's intent; a refused approval is recorded in it.

    Args:
        results: what earlier entries of the manifest returned, by their tokens.
    """
    made = Entry.objects.filter(
        run_id=session.run.id,
        subject_id=str(call.id),
        action__in=["call.succeeded", "call.failed"],
    )
    if made.exists():
        return MADE_BEFORE
    if call.approval_request_id is None:
        return "" if _allowed(session, step, call) else UNSIGNED
    request = ApprovalRequest.objects.get(id=call.approval_request_id)
    if not _is_entry(session, call, request, results):
        return UNSIGNED
    refused = policies.approval_verify(
        workspace_id=session.lease.workspace_id,
        request_id=request.id,
        binding={**request.binding, "kind": Kind.MANIFEST.value, **standing(session, step)},
        consumer=consumer(session.run),
        now=datetime.now(UTC),
    )
    return refused.sentence if refused is not None else ""


def _allowed(session: Session, step: Step, call: Call) -> bool:
    decided = DecisionRecord.objects.filter(
        run_id=session.run.id, step=step.number, call_seq=call.seq, outcome=Outcome.ALLOW
    )
    return call.decision_id is not None and decided.filter(id=call.decision_id).exists()


def _is_entry(
    session: Session, call: Call, request: ApprovalRequest, results: Mapping[str, JSON]
) -> bool:
    """Whether the call is, at its place, what the card showed to those who signed."""
    shown = [entry for entry in request.displayed["effects"] if entry["position"] == call.position]
    version = call.tool_version
    place = (call.seq, version.tool.name, version.digest, call.token)
    if [(e["seq"], e["tool"], e["version"], e["token"]) for e in shown] != [place]:
        return False
    definition = session.tools[version.tool.name].definition
    try:
        signed = validate_arguments(definition, manifest.fill(shown[0]["arguments"], results))
    except ToolArgumentError:
        return False
    return canonical.digest(signed) == canonical.digest(call.arguments)
