"""A run's steps as its timeline tells them: in our words, never the model's. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agents.models import CallState, Effect, RunState, StepState
from agents.selectors import ApprovalView, CallView, RunDetail, StepView
from countersign.console import code, values, words
from countersign.console.words import Word
from policies.remarks import Remark, notes, remarks

SHOWN_CALLS = 6
CLOSED_UNSIGNED = frozenset({"rejected", "expired", "superseded", "cancelled"})
OPEN_APPROVALS = frozenset({"waiting", "info_requested"})


@dataclass(frozen=True)
class CallLine:
    """One tool call on one line."""

    call: CallView
    word: Word
    arguments: str
    outcome: str


@dataclass(frozen=True)
class ApprovalLines:
    """Two facts that are never one: what was signed, and what happened."""

    view: ApprovalView
    approval: str
    operation: str
    word: Word


@dataclass(frozen=True)
class StepCard:
    """One step as the timeline shows it."""

    step: StepView
    word: Word
    title: str
    sentence: str
    approvals: tuple[ApprovalLines, ...]
    calls: tuple[CallLine, ...]
    more_calls: tuple[CallLine, ...]
    code: list[code.Row]
    found: tuple[Remark, ...]
    times: tuple[str, ...]

    @property
    def lines(self) -> int:
        return len(self.step.code.splitlines())


@dataclass(frozen=True)
class Share:
    """A part of a run's time. `percent` is of the longest part."""

    name: str
    text: str
    percent: int
    kind: str


def cards(steps: Sequence[StepView]) -> list[StepCard]:
    return [card(step) for step in steps]


def card(step: StepView) -> StepCard:
    """Everything the timeline says of one step."""
    lines = [_call_line(call) for call in step.calls]
    return StepCard(
        step=step,
        word=_word(step),
        title=_title(step),
        sentence=_sentence(step),
        approvals=tuple(_approval_lines(view, step.calls) for view in step.approvals),
        calls=tuple(lines[:SHOWN_CALLS]),
        more_calls=tuple(lines[SHOWN_CALLS:]),
        code=program(step),
        found=found(step),
        times=times(step),
    )


def times(step: StepView) -> tuple[str, ...]:
    """Where the time of one step went, in the order it was spent; parts of no length left out."""
    tools = sum(call.duration_ms for call in step.calls)
    parts = (
        ("model", step.model_ms / 1000),
        ("people", _waited_for(step)),
        ("sandbox", step.jail_ms / 1000),
        ("tools", tools / 1000),
    )
    return tuple(f"{name} {words.span(seconds)}" for name, seconds in parts if seconds > 0)


def program(step: StepView) -> list[code.Row]:
    """The step's program, its effect lines and the line of its error marked."""
    sites = step.decision.facts.get("calls", ()) if step.decision else ()
    line = step.error.get("line")
    return code.rows(
        step.code,
        effects=code.effect_lines(sites, {}),
        found=notes(found(step)),
        wrong=line if isinstance(line, int) else None,
    )


def found(step: StepView | None) -> tuple[Remark, ...]:
    """What the analysis found in a program that was held up."""
    decision = step.decision if step is not None else None
    return remarks(decision.facts) if decision is not None and decision.outcome != "allow" else ()


def operation(calls: Sequence[CallView], approval_state: str) -> tuple[str, Word]:
    """What has become of the effects of a request: words and sign."""
    states = [call.state for call in calls]
    done, total = states.count(CallState.SUCCEEDED), len(states)
    if not total:
        return "", words.UNKNOWN_WORD
    if CallState.UNKNOWN in states:
        doubt = states.count(CallState.UNKNOWN)
        text = f"outcome of {words.count(doubt, 'effect')} unknown, a person must say"
        return text, words.CALL["unknown"]
    if CallState.FAILED in states:
        text = f"ended early: {done} of {total} done, one failed, the rest will not run"
        return text, words.CALL["failed"]
    if done == total:
        return f"done, {_all(total)}", words.CALL["succeeded"]
    if CallState.INTENDED in states or CallState.CLEARED in states or done:
        if CallState.VOID in states:
            return f"ended early: {done} of {total} done", words.CALL["failed"]
        return f"running, {done} of {total} done", words.CALL["intended"]
    if CallState.VOID in states or approval_state in CLOSED_UNSIGNED:
        return "nothing happened and nothing will", words.CALL["void"]
    if approval_state == "approved":
        return "waiting for the worker, nothing has happened yet", words.CALL["planned"]
    return "waiting, nothing has happened", words.CALL["planned"]


def approval_words(view: ApprovalView) -> str:
    """How far a request's signatures have come, who signed and when."""
    signers = ", ".join(
        f"{vote.name} {_moment(vote.time)}" for vote in view.votes if vote.answer == "sign"
    )
    who = f" ({signers})" if signers else ""
    if view.state in OPEN_APPROVALS:
        return f"{view.signed} of {view.needed} signed{who}, sign by {_moment(view.sign_by)}"
    if view.state == "approved":
        used = (
            f"used {_moment(view.consumed)}"
            if view.consumed
            else f"valid to {_moment(view.execute_by)}"
        )
        return f"{view.signed} of {view.needed} signed{who}, {used}"
    if view.state == "rejected":
        vote = next((vote for vote in view.votes if vote.answer == "reject"), None)
        return f"rejected by {vote.name} {_moment(vote.time)}" if vote else "rejected"
    return words.word("approval", view.state).text


def _moment(moment: datetime) -> str:
    """With its day: signatures may come days after the step, and are due on another one."""
    return f"{moment:%-d %b %H:%M}"


def shares(run: RunDetail, steps: Sequence[StepView]) -> list[Share]:
    """Where the time of a run went."""
    model = sum(step.model_ms for step in steps) / 1000
    work = max(run.working_ms / 1000 - model, sum(step.jail_ms for step in steps) / 1000)
    people = _waited(steps)
    longest = max(model, work, people, 0.001)
    parts = (
        ("model", model, "model"),
        ("sandbox and tools", work, "jail"),
        ("people", people, "people"),
    )
    return [
        Share(name, words.span(seconds), max(round(100 * seconds / longest), 1), kind)
        for name, seconds, kind in parts
        if seconds > 0
    ]


def _waited(steps: Sequence[StepView]) -> float:
    """Seconds from asking to the last vote, summed over the steps."""
    return sum(_waited_for(step) for step in steps)


def _waited_for(step: StepView) -> float:
    """Seconds from the step's proposal to the last vote about it."""
    votes = [vote.time for view in step.approvals for vote in view.votes]
    return max((max(votes) - step.created).total_seconds(), 0) if votes else 0.0


def _word(step: StepView) -> Word:
    if any(call.state == CallState.UNKNOWN for call in step.calls):
        return words.CALL["unknown"]
    if step.state == StepState.EXECUTED and step.status:
        return words.word("ending", step.status)
    return words.word("step", step.state)


def _title(step: StepView) -> str:
    waiting = [view for view in step.approvals if view.state in OPEN_APPROVALS]
    match step.state:
        case StepState.UNPARSED:
            return "No program in the reply"
        case StepState.DENIED:
            return "Refused before it ran"
        case StepState.REJECTED:
            return "Rejected by a reviewer"
        case StepState.AWAITING_APPROVAL if waiting:
            return f"Wants to: {waiting[-1].headline}"
    if step.status == "final":
        return "Gave the answer" if not _acts(step) else f"{_acts(step)}, and gave the answer"
    return _acts(step) or ("Running" if step.state == StepState.READY else "Computed")


def _acts(step: StepView) -> str:
    """The tools that ran, with how often, writes first."""
    counts: dict[tuple[bool, str], int] = {}
    for call in step.calls:
        if call.state == CallState.SUCCEEDED:
            key = (call.effect != Effect.WRITE, words.humanise(call.tool))
            counts[key] = counts.get(key, 0) + 1
    acts = [
        name + (f" ×{n}" if n > 1 else "")  # noqa: RUF001 - the sign for "times"
        for (_, name), n in sorted(counts.items(), key=lambda item: item[0][0])
    ]
    return ", ".join([*acts[:1], *(act[:1].lower() + act[1:] for act in acts[1:])])


def _sentence(step: StepView) -> str:
    match step.state:
        case StepState.UNPARSED:
            return step.observation
        case StepState.DENIED:
            said = step.decision.sentence if step.decision else ""
            return f"{said} Nothing of it ran. The agent was told why."
        case StepState.REJECTED:
            return f"{_rejection(step)} Nothing of it happened. The agent was told why."
        case StepState.READY:
            return "The program is running or will at once."
        case StepState.AWAITING_APPROVAL:
            return "It ran up to its effects, which were set aside and have not happened."
    writes = sum(c.effect == Effect.WRITE and c.state == CallState.SUCCEEDED for c in step.calls)
    why = "after signatures" if any(v.consumed for v in step.approvals) else "by policy alone"
    left = f"{words.count(writes, 'effect')} happened" if writes else "nothing left the run"
    return f"Ran {why}; {left}."


def _rejection(step: StepView) -> str:
    for view in reversed(step.approvals):
        for vote in view.votes:
            if vote.answer == "reject":
                return f"{vote.name} rejected it: “{vote.comment}”"
    return "A reviewer rejected it."


def _approval_lines(view: ApprovalView, calls: Sequence[CallView]) -> ApprovalLines:
    mine = [call for call in calls if call.approval_request_id == view.id]
    text, word = operation(mine, view.state)
    return ApprovalLines(view, approval_words(view), text, word)


def _call_line(call: CallView) -> CallLine:
    hidden = call.masked
    said = ", ".join(
        f"{name}={'masked' if name in hidden else values.brief(v)}"
        for name, v in call.arguments.items()
    )
    # What it answered, and why it failed, often repeat what it was given.
    done = words.word("call", call.state).text if hidden and call.ended else _outcome(call)
    return CallLine(call, words.word("call", call.state), said, done)


def _outcome(call: CallView) -> str:
    if call.state == CallState.SUCCEEDED:
        size = (
            words.count(call.result_rows, "row")
            if call.result_rows is not None
            else values.cut(call.result_start, 80)
        )
        return ", ".join(["→ " + size, *call.labels])
    if call.error:
        return f"{call.error.get('type', '')}: {call.error.get('message', '')}"
    if call.position is not None:
        return f"planned, effect {call.position + 1}"
    return words.word("call", call.state).text


def _all(total: int) -> str:
    return "it happened once" if total == 1 else f"all {total} happened, each once"


def open_request(steps: Sequence[StepView]) -> UUID | None:
    """The request the run waits for, if it waits for one."""
    views = [view for step in steps for view in step.approvals if view.state in OPEN_APPROVALS]
    return views[-1].id if views else None


def labels(counts: Mapping[str, int]) -> list[tuple[str, int, Word]]:
    """Run states that occur, in the order of a run's life."""
    return [(s.value, counts[s], words.RUN[s]) for s in RunState if counts.get(s)]
