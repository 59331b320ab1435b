"""Asks people to countersign what a run wants, and takes up their answer.

What is signed is bound by `binding`: code, manifest, facts, agent, tools, runtime and limits, and
the digest of everything that made the program's variables. It is derived again, from the rows as
they are then, immediately before the approval is consumed; who may sign, quorum, expiry and single
use are the policies room's.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from agents import entries, gate, journal
from agents.approvals import comparison, editing, replaced
from agents.approvals.countersigned import consumer, standing
from agents.approvals.manifest import GIVEN_FILES, Entry, digest, headline, sentence, totals
from agents.broker import Broker
from agents.conversation import observation
from agents.conversation.parsing import Program
from agents.journal import Commit, writing
from agents.llm.chat import ChatReply
from agents.models import Call, CallState, RunState, Step, StepState
from agents.sandbox.contract import StepResult
from agents.session import Session, replayable
from audit import canonical
from audit.canonical import JSON
from policies import services as policies
from policies.directory import directory
from policies.engine import Decision, Outcome
from policies.errors import Reason, Refusal
from policies.facts.record import Facts
from policies.models import ApprovalRequest, ApprovalState, Kind

SIGN_WITHIN = timedelta(hours=8)
EXECUTE_WITHIN = timedelta(hours=1)
"""After signing ends; a run whose approval is not used by then must ask again."""


# Asking.


def ask_for_code(
    session: Session, reply: ChatReply, program: Program, facts: Facts, gated: gate.Gated
) -> Step:
    """Record a program that may run only when people have signed it, and park the run."""
    with writing(session) as commit:
        step = journal.new_step(session, reply, StepState.AWAITING_APPROVAL)
        journal.describe(step, program, facts)
        commit.say(entries.step_proposed(session, step))
        [step.decision_id] = commit.decide(step.number, (gated, None))
        step.save(force_insert=True)
        _ask(commit, step, Kind.CODE, [gated.decision], [], supersedes=None)
    session.steps.append(step)
    return step


def ask_for_manifest(session: Session, step: Step, broker: Broker, ms: int) -> bool:
    """Park on the effects that this pass deferred; False: the loop ends here."""
    planned = sorted(broker.planned, key=lambda call: call.seq)
    decisions = [broker.decisions[call.seq] for call in planned]
    number = max((call.manifest or 0 for call in broker.recorded.values()), default=0) + 1
    with writing(session) as commit:
        for position, call in enumerate(planned):
            call.manifest, call.position = number, position
        journal.keep_calls(commit, step, broker)
        session.run.working_ms += ms
        over = {call.position or 0: broker.over.get(call.seq, ()) for call in planned}
        request = _ask(commit, step, Kind.MANIFEST, decisions, planned, supersedes=None, over=over)
        ids = [call.id for call in planned]
        Call.objects.filter(id__in=ids).update(approval_request=request, manifest=number)
    return False


def ask_for_answer(
    session: Session,
    step: Step,
    broker: Broker,
    result: StepResult,
    ms: int,
    release: gate.Gated,
) -> bool:
    """Park on an answer that may leave the run only when people have signed it."""
    with writing(session) as commit:
        journal.ran(commit, step, broker, result, ms, "")
        commit.decide(step.number, (release, None))
        _ask(commit, step, Kind.ANSWER, [release.decision], [], supersedes=None)
    return False


def _ask(
    commit: Commit,
    step: Step,
    kind: Kind,
    decisions: Sequence[Decision],
    planned: Sequence[Call],
    supersedes: ApprovalRequest | None,
    over: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> ApprovalRequest:
    session, now = commit.session, datetime.now(UTC)
    supersedes = supersedes or _edited_into(session, step)
    shown = displayed(session, step, kind, decisions, planned)
    # Those who sign are asked for it because of this, so it stands on their card.
    if crossed := {str(position): list(said) for position, said in over.items() if said}:
        shown["over_budget"] = crossed
    alike = _compare(session, step, kind, planned, shown)
    commit.flush()
    draft = policies.RequestDraft(
        kind=kind,
        title=shown["sentence"],
        notice=f"{session.version.agent.name}: {shown['headline']}"[:200],
        tier=max((call.tool_version.tier for call in planned), default=2),
        agent_name=str(session.version),
        binding=binding(session, step, kind, planned),
        requirement=requirement(decisions),
        factor=next((f for each in decisions if (f := each.requirement.factor)), ""),
        requester=entries.requester(session.run),
        displayed=shown,
        policy_version_id=session.policy.version_id,
        decision_id=step.decision_id,
        run_id=session.run.id,
        step=step.number,
        barred=sorted(authors(session)),
        sign_by=now + SIGN_WITHIN,
        execute_by=now + SIGN_WITHIN + EXECUTE_WITHIN,
        supersedes=supersedes.id if supersedes else None,
        likeness=alike,
    )
    request = policies.approval_request(
        workspace_id=session.lease.workspace_id, draft=draft, now=now
    )
    step.state, step.approval_request = StepState.AWAITING_APPROVAL, request
    step.save()
    journal.park(commit, RunState.AWAITING_APPROVAL, shown["sentence"])
    return request


def _compare(
    session: Session, step: Step, kind: Kind, planned: Sequence[Call], shown: dict[str, JSON]
) -> str:
    """Put beside what is shown how it differs from the last one like it; returns the likeness."""
    effects = manifest_entries(planned)
    shape = session.facts(step.number, step.code).shape if kind is Kind.CODE else ""
    alike = comparison.likeness(session.version.agent_id, kind, shape, effects)
    if alike:
        workspace_id = session.lease.workspace_id
        shown["compared"] = comparison.compared(workspace_id, kind, alike, step.code, effects)
    return alike


def _edited_into(session: Session, step: Step) -> ApprovalRequest | None:
    """The request whose program a reviewer edited into this step, if none has followed it yet."""
    before = replaced.before(session.steps, step.number)
    request = before.approval_request if before else None
    if request is None or ApprovalRequest.objects.filter(supersedes=request).exists():
        return None
    return request


# What is bound, and what is shown.


def binding(session: Session, step: Step, kind: Kind, planned: Sequence[Call]) -> dict[str, JSON]:
    """All that a signature covers, derived from the rows as they are now."""
    return {
        **standing(session, step),
        "kind": kind.value,
        "manifest": digest(manifest_entries(planned)) if planned else "",
        "answer": canonical.digest(step.final) if kind is Kind.ANSWER else "",
        "journal": journal_head(session, step),
    }


def journal_head(session: Session, step: Step) -> str:
    """Digest of all that made the variables: inputs, earlier programs, and every call so far."""
    earlier = [
        {"code": s.code_digest, "stdout": s.stdout_digest, "calls": _made(session.recorded(s))}
        for s in session.steps
        if s.number < step.number and replayable(s)
    ]
    return canonical.digest(
        {
            "inputs": session.run.inputs,
            **({"files": session.run.files} if session.run.files else {}),
            "seed": session.run.seed,
            "time_us": step.time_us,
            "steps": earlier,
            "calls": _made(session.recorded(step)),
        }
    )


def _made(recorded: Mapping[int, Call]) -> list[JSON]:
    return [
        {
            "seq": seq,
            "tool_version": call.tool_version.digest,
            "arguments": call.arguments_digest,
            "state": call.state,
            "result": canonical.digest(call.result),
        }
        for seq, call in sorted(recorded.items())
        if call.state in (CallState.SUCCEEDED, CallState.FAILED)
    ]


def manifest_entries(planned: Sequence[Call]) -> list[Entry]:
    """The manifest that planned calls form, in their order."""
    return [
        Entry(
            position=call.position or 0,
            seq=call.seq,
            tool=call.tool_version.tool.name,
            version=call.tool_version.digest,
            arguments=call.arguments,
            origins=call.origins,
            roles=call.tool_version.roles,
            tier=call.tool_version.tier,
            token=call.token,
        )
        for call in sorted(planned, key=lambda call: call.position or 0)
    ]


def requirement(decisions: Iterable[Decision]) -> list[dict[str, JSON]]:
    """The signatures that satisfy every decision: per role the largest count any of them asks.

    The role `reviewer` stands for a reviewer of any group, so seats of named groups count for it.
    """
    seats: dict[str, int] = {}
    for decision in decisions:
        for role, count in decision.requirement:
            seats[role] = max(seats.get(role, 0), count)
    named = sum(count for role, count in seats.items() if role.startswith("reviewer:"))
    if "reviewer" in seats:
        seats["reviewer"] = max(0, seats["reviewer"] - named)
    return [{"role": role, "count": count} for role, count in sorted(seats.items()) if count]


def authors(session: Session) -> set[str]:
    """People who wrote a part of what is to be signed; none of them may sign it.

    Of what a program registered, the people who made its account or one of its tokens.
    """
    ids = {session.version.author_id, *(tool.version.author_id for tool in session.tools.values())}
    behind = [directory().behind(author) for author in ids if author]
    return ids.union(*behind, editing.editors(session.steps)) - {""}


def displayed(
    session: Session,
    step: Step,
    kind: Kind,
    decisions: Sequence[Decision],
    planned: Sequence[Call],
) -> dict[str, JSON]:
    """All that the approval card shows; its hash is part of what is signed."""
    effects = manifest_entries(planned)
    agent, who = session.version.agent.name, session.run.requester_name
    summed = totals(effects)
    edited = replaced.told(replaced.before(session.steps, step.number), effects)
    return {
        "kind": kind.value,
        "sentence": _sentence(session, step, kind, effects),
        "headline": headline(effects) if effects else f"{agent}: {Kind(kind).label}",
        "agent": str(session.version),
        "requester": who,
        "goal": session.run.goal,
        "step": step.number,
        "explanation": "" if edited else step.thought,
        **edited,
        "code": step.code,
        "previous_code": _previous_code(session, step),
        "answer": step.final if kind is Kind.ANSWER else None,
        "effects": [entry.to_json() for entry in effects],
        "totals": {
            "effects": summed.effects,
            "amounts": dict(summed.amounts),
            "uncounted": summed.uncounted,
            "recipients": list(summed.recipients),
        },
        "rules": _rules(decisions),
        "data": [*_files(session), *_data(session, step)],
        # What the model had read when it wrote the program: it may have typed that again.
        "seen": sorted(session.control_labels),
    }


def _sentence(session: Session, step: Step, kind: Kind, effects: Sequence[Entry]) -> str:
    agent, who = session.version.agent.name, session.run.requester_name
    if (before := replaced.before(session.steps, step.number)) and before.edit:
        # What this person wrote is not to be taken for what the agent wanted.
        agent = f"{before.edit['editor_name']}, in place of {agent},"
    if kind is Kind.CODE:
        lines = len(step.code.splitlines())
        return f"{agent} wants to run a program of {lines} lines, for {who}."
    if kind is Kind.ANSWER:
        return f"{agent} wants to release its answer to {who}."
    return sentence(agent, who, effects)


def _previous_code(session: Session, step: Step) -> str:
    earlier = [s.code for s in session.steps if s.number < step.number and s.code]
    return earlier[-1] if earlier else ""


def _rules(decisions: Sequence[Decision]) -> list[JSON]:
    rules = {rule.id: rule for decision in decisions for rule in decision.rules if not rule.shadow}
    return [
        {
            "id": rule.id,
            "sentence": rule.sentence,
            "reason": rule.reason,
            **({"obligations": list(rule.obligations)} if rule.obligations else {}),
        }
        for rule in rules.values()
    ]


def _files(session: Session) -> list[JSON]:
    """The files that the run was given, as one more thing that it has read."""
    labels = sorted({label for file in session.run.files for label in file["labels"]})
    given = len(session.run.files)
    row: dict[str, JSON] = {"tool": GIVEN_FILES, "effect": "read", "labels": labels, "calls": given}
    return [row] if given else []


def _data(session: Session, step: Step) -> list[JSON]:
    """What the run has read so far, by tool, with the labels of what it returned."""
    made = [
        call
        for earlier in session.steps
        if earlier.number <= step.number
        for call in session.recorded(earlier).values()
        if call.state == CallState.SUCCEEDED
    ]
    rows: dict[str, dict[str, JSON]] = {}
    for call in made:
        version = call.tool_version
        row = rows.setdefault(
            version.tool.name,
            {"tool": version.tool.name, "effect": version.effect, "labels": version.labels},
        )
        row["calls"] = row.get("calls", 0) + 1
    return list(rows.values())


# Taking up the answer.


def resume(session: Session, step: Step) -> bool:
    """Act on the state of the step's request; True if the loop may go on with the step."""
    request = step.approval_request
    if request is None:
        raise AssertionError("a waiting step has its request")
    match ApprovalState(request.state):
        case ApprovalState.APPROVED:
            return _use(session, step, request)
        case ApprovalState.REJECTED:
            return _rejected(session, step, request)
        case ApprovalState.EXPIRED:
            journal.run_ended(session, RunState.EXPIRED, "Nobody signed in time.")
        case ApprovalState.CANCELLED:
            journal.run_ended(session, RunState.CANCELLED, "The request was withdrawn.")
        case ApprovalState.SUPERSEDED if step.edit:
            return _edited(session, step, request)
        case ApprovalState.SUPERSEDED:
            return _ask_again(session, step, request)
        case _ if request.policy_version_id != session.policy.version_id:
            # Nobody is to sign what another policy asked for: it could not be used.
            return _ask_again(session, step, request)
        case _:
            with writing(session) as commit:
                journal.park(commit, RunState.AWAITING_APPROVAL, request.title)
    return False


def _use(session: Session, step: Step, request: ApprovalRequest) -> bool:
    kind = Kind(request.kind)
    planned = _planned(session, step)
    with writing(session) as commit:
        used = policies.approval_consume(
            workspace_id=session.lease.workspace_id,
            request_id=request.id,
            binding=binding(session, step, kind, planned),
            consumer=consumer(session.run),
            now=datetime.now(UTC),
        )
        if not isinstance(used, Refusal):
            commit.say(entries.of_run(session.run, "run.resumed", request=str(request.id)))
            if kind is Kind.ANSWER:
                step.state = StepState.EXECUTED
                step.save(update_fields=["state"])
                journal.let_out(commit, step)
                return False
            step.state = StepState.READY
            step.applying = planned[0].manifest if planned else None
            step.save(update_fields=["state", "applying"])
            return True
    return _not_usable(session, step, request, used)


def _planned(session: Session, step: Step) -> list[Call]:
    """The entries of the manifest that was last asked for, in order."""
    waiting = [c for c in session.recorded(step).values() if c.state == CallState.PLANNED]
    return sorted(waiting, key=lambda call: call.position or 0)


def _not_usable(session: Session, step: Step, request: ApprovalRequest, refusal: Refusal) -> bool:
    if refusal.reason in (Reason.POLICY_CHANGED, Reason.VOTER_INELIGIBLE):
        return _ask_again(session, step, request)
    if refusal.reason is Reason.EXECUTE_BY:
        journal.run_ended(session, RunState.EXPIRED, refusal.sentence)
    else:
        journal.run_ended(session, RunState.FAILED, f"Stopped before it ran: {refusal.sentence}")
    return False


def _ask_again(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Decide the step anew under the policy of today, and ask for new signatures if it says so."""
    kind = Kind(request.kind)
    planned = _planned(session, step)
    gated = _decide_again(session, step, kind, planned)
    denied = [each for each, _ in gated if each.decision.outcome is Outcome.DENY]
    with writing(session) as commit:
        decided = commit.decide(step.number, *gated)
        commit.flush()
        if denied:
            _supersede(session, request)
            told = observation.refused(gate.explain(denied[0].decision))
            _close_step(commit, step, kind, StepState.DENIED, told)
            return True
        decisions = [each.decision for each, _ in gated]
        if not requirement(decisions):
            decisions = []
        if not decisions:
            _supersede(session, request)
            _unsigned(step, kind, planned, decided)
            return True
        over = {call.position or 0: g.over for call, (g, _) in zip(planned, gated, strict=False)}
        renewed = _ask(commit, step, kind, decisions, planned, supersedes=request, over=over)
        Call.objects.filter(id__in=[c.id for c in planned]).update(approval_request=renewed)
    return False


def _supersede(session: Session, request: ApprovalRequest) -> None:
    policies.approval_supersede(
        workspace_id=session.lease.workspace_id, request_id=request.id, now=datetime.now(UTC)
    )


def _unsigned(step: Step, kind: Kind, planned: Sequence[Call], decided: Sequence[UUID]) -> None:
    """Let the step go on because the policy of today asks for no signature."""
    for call, decision_id in zip(planned, decided, strict=False):
        call.decision_id, call.approval_request = decision_id, None
        call.save(update_fields=["decision", "approval_request"])
    if kind is Kind.CODE:
        [step.decision_id] = decided
    step.state = StepState.READY
    step.applying = planned[0].manifest if planned else None
    step.save()


def _decide_again(
    session: Session, step: Step, kind: Kind, planned: Sequence[Call]
) -> list[tuple[gate.Gated, int | None]]:
    if kind is Kind.CODE:
        facts = session.facts(step.number, step.code)
        return [(gate.decide_execute(session, step.number, facts), None)]
    if kind is Kind.ANSWER:
        return [(gate.decide_release(session, step, step.final), None)]
    return [
        (
            gate.decide_call(
                session,
                step,
                session.tools[call.tool_version.tool.name],
                call.arguments,
                planned[:place],
            ),
            call.seq,
        )
        for place, call in enumerate(planned)
    ]


def _rejected(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Tell the agent what the reviewer said, as data; nothing of the step has happened or will."""
    with writing(session) as commit:
        vote = request.votes.filter(answer="reject").order_by("created").first()
        name, comment = (vote.user_name, vote.comment) if vote else ("A reviewer", "")
        told = observation.rejected(request.title, name, comment)
        _close_step(commit, step, Kind(request.kind), StepState.REJECTED, told)
    return True


def _edited(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Leave the step undone; the loop makes the next one of what the reviewer wrote."""
    with writing(session) as commit:
        told = editing.told(step.edit or {})
        _close_step(commit, step, Kind(request.kind), StepState.REJECTED, told)
    return True


def _close_step(commit: Commit, step: Step, kind: Kind, state: StepState, told: str) -> None:
    """End a step that will not run (further): its planned effects are void, done ones are told.

    A program whose answer was refused has run: its variables stay.
    """
    recorded = commit.session.recorded(step).values()
    for call in _planned(commit.session, step):
        call.state = CallState.VOID
        call.save(update_fields=["state"])
    done = [c for c in recorded if c.manifest is not None and c.state == CallState.SUCCEEDED]
    if done:
        told += observation.already_done([journal.told(call) for call in done])
    step.state = StepState.EXECUTED if kind is Kind.ANSWER else state
    step.observation, step.ended = canonical.clean(told), datetime.now(UTC)
    step.save()
    journal.labels_read(commit.session, recorded)
    commit.say(entries.of_run(commit.session.run, "run.resumed", step=step.number))
