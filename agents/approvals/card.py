"""What people see of a request: all of it is hashed, and the hash is part of what is signed."""

from collections.abc import Sequence

from agents.approvals import replaced
from agents.approvals.binding import manifest_entries
from agents.approvals.manifest import GIVEN_FILES, Entry, headline, sentence, totals
from agents.models import Call, CallState, Step
from agents.session import Session
from audit.canonical import JSON
from policies.engine import Decision
from policies.models import Kind


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
