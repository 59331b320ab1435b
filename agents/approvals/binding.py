"""What a signature covers, and who may give it.

Bound are code, manifest, facts, agent, tools, runtime and limits, and the digest of everything that
made the program's variables. It is derived again, from the rows as they are then, immediately
before the approval is consumed.
"""

from collections.abc import Iterable, Mapping, Sequence

from agents.approvals import editing
from agents.approvals.countersigned import standing
from agents.approvals.manifest import Entry, digest
from agents.models import Call, CallState, Step
from agents.session import Session, replayable
from audit import canonical
from audit.canonical import JSON
from policies.approvals import folded
from policies.directory import directory
from policies.engine import Decision
from policies.models import Kind


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
    """The signatures that satisfy every decision: per role the largest count any of them asks."""
    seats: dict[str, int] = {}
    for decision in decisions:
        for role, count in decision.requirement:
            seats[role] = max(seats.get(role, 0), count)
    return [{"role": role, "count": count} for role, count in folded(seats).items()]


def authors(session: Session) -> set[str]:
    """People who wrote a part of what is to be signed; none of them may sign it.

    Of what a program registered, the people who made its account or one of its tokens.
    """
    ids = {session.version.author_id, *(tool.version.author_id for tool in session.tools.values())}
    behind = [directory().behind(author) for author in ids if author]
    return ids.union(*behind, editing.editors(session.steps)) - {""}
