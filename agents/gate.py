"""Asks the policy, from the words of a run: every decision of the loop and the broker is made here.

Nothing is decided in this module and nothing is written: it builds the request, calls the engine,
and hands back what the journal must store before anything happens.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from agents import heard, leaks, provenance, tracing
from agents.bound import BoundTool, bind
from agents.budgets import spending
from agents.conversation import messages, sightings
from agents.files import artifacts
from agents.models import Call, CallState, Run, Step
from agents.provenance import UNTRUSTED
from agents.ruling import rules_for
from agents.session import Session
from audit.canonical import JSON
from audit.services import Actor
from policies import requests
from policies.engine import Decision, FiredRule, Outcome, PolicySet, decide
from policies.facts.paths import value_at
from policies.facts.record import (
    ADDRESS,
    FILES,
    LITERAL,
    TASK,
    TASK_LITERAL,
    TOOL,
    UNKNOWN_LABEL,
    Facts,
    Origin,
)
from policies.facts.roles import OBJECT
from policies.remarks import in_words, remarks
from policies.requests import Request
from policies.selectors import active_policy
from policies.services import DecisionDraft

_UNSEEN = Origin(frozenset({UNKNOWN_LABEL}), frozenset({UNKNOWN_LABEL}))
RECIPIENT = "recipient"
AMOUNTS = {"amount": False, "amount_minor": True}
"""Roles of amounts, and whether they are in hundredths."""
_MOVING = frozenset({RECIPIENT, *AMOUNTS})
FILE = "file"
"""Says of a value, to people, that a file of outsiders has a part in it."""


@dataclass(frozen=True)
class Gated:
    """A decision with what it was made from.

    Attributes:
        over: budgets that the effect would cross, for whose crossing the decision asks signatures.
        found: where secrets and personal data stand in the prompt that was decided on.
    """

    decision: Decision
    request: Request
    facts: Facts | None = None
    origins: dict[str, list[str]] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    found: tuple[sightings.Sighting, ...] = ()


def decide_start(run: Run) -> tuple[Decision, DecisionDraft]:
    """May this run start at all? With the record to store, since there is no session yet."""
    policy = active_policy(run.workspace_id)
    tools = [bind(tool).spec for tool in run.agent_version.tools.select_related("tool")]
    request = requests.start_run(_context(run, 0, frozenset()), run.goal)
    decision = _decide(request, rules_for(run.workspace_id, policy.text, tools))
    return decision, draft(run, Gated(decision, request), policy.version_id, step=None, seq=None)


def decide_model(session: Session) -> Gated:
    """May this run send its conversation, with all it has read, to its model?"""
    endpoint = session.version.endpoint
    model = requests.ModelSpec(endpoint.name, frozenset(endpoint.labels))
    found = session.reader.read(lambda: messages.opening(session), session.steps, messages.turn)
    return _gated(session, requests.use_model(_of(session, session.next_number), model, found))


def located(session: Session, gated: Gated) -> Gated:
    """The decision on a prompt with the places of what was found in it."""
    prompt = gated.request.context["prompt"]
    if not prompt["secrets"] and not prompt["personal"]:
        return gated
    turns = [spoken for step in session.steps for spoken in messages.turn(step)]
    found = sightings.sightings([*messages.opening(session), *turns])
    return replace(gated, found=tuple(found))


def why_not_sent(session: Session, gated: Gated) -> str:
    """Why a prompt goes to no model, for whoever started the run."""
    decision = gated.decision
    rules = map(_rule, decision.rules)
    fault = sightings.at_fault(gated.found, rules, session.policy.text)
    said = [decision.sentence, sightings.sentence(fault)]
    if decision.outcome is Outcome.REVIEW:
        said.append("Nobody can sign for what goes to a model, so the run has ended.")
    return " ".join(filter(None, said))


def decide_execute(session: Session, number: int, facts: Facts) -> Gated:
    """May this program run at all?"""
    request = requests.execute(_of(session, number), facts)
    return Gated(_decide(request, session.policy_set), request, facts)


def decide_call(
    session: Session,
    step: Step,
    tool: BoundTool,
    arguments: Mapping[str, JSON],
    planned: Iterable[Call] = (),
    at: Collection[int] | None = None,
    seq: int | None = None,
) -> Gated:
    """May this call happen, with these arguments and what is known of their origin?

    Args:
        planned: effects that were deferred before it, and count against the budgets of the day.
        at: lines of the program that led to it; None where that is not known.
        seq: its place among the step's calls; None where it comes after all of them.
    """
    facts = session.facts(step.number, step.code)
    planned = list(planned)
    origins = _origins(session, facts, tool, arguments, {call.token for call in planned})
    if not _is_where_seen(facts, tool, arguments, at):
        origins = {name: origin.joined(_UNSEEN) for name, origin in origins.items()}
    day = spending.foresee(session.run, tool.version, arguments, planned)
    context = replace(
        _of(session, step.number),
        today=day.today,
        over_budget=bool(day.over),
        made_before=_made_before(session, step, tool, arguments, seq),
        used_tools=session.used_tools,
    )
    request = requests.call(
        context,
        tool.spec,
        arguments,
        origins,
        guards=facts.guards_of(tool.name),
        rounds=facts.rounds_of(tool.name),
        seen=facts.read_before(tool.name),
    )
    decision = _decide(request, session.policy_set)
    told = {
        name: _told(origins[name], session, tool.spec.role(name)) if name in origins else []
        for name in arguments
    }
    over = day.over if decision.outcome is Outcome.REVIEW else ()
    return Gated(decision, request, origins=told, over=over)


def _made_before(
    session: Session, step: Step, tool: BoundTool, arguments: Mapping[str, JSON], seq: int | None
) -> bool:
    """Whether the run has made, or plans, this effect with the same recipients and amounts.

    Asked for only where a rule wants to know; what has neither recipient nor amount is never one.
    """
    moved = _moved(tool, arguments)
    if not moved or "context.call.made_before" not in session.policy_set.reads:
        return False
    return any(
        call.tool_version.tool.name == tool.name and _moved(tool, call.arguments) == moved
        for step_id, calls in session.calls.items()
        for call in calls.values()
        if call.state not in (CallState.FAILED, CallState.VOID)
        and (step_id != step.id or seq is None or call.seq < seq)
    )


def _moved(tool: BoundTool, arguments: Mapping[str, JSON]) -> dict[str, str]:
    """Recipients and amounts of a call, each in one form."""
    parts = (*arguments, *requests.inner_paths(tool.spec, arguments))
    roles = {name: tool.spec.role(name) for name in parts}
    values = {name: value_at(arguments, name) for name, role in roles.items() if role in _MOVING}
    return {name: heard.number(value) or heard.plain(str(value)) for name, value in values.items()}


def _is_where_seen(
    facts: Facts, tool: BoundTool, arguments: Mapping[str, JSON], at: Collection[int] | None
) -> bool:
    """Whether a call comes from a line from which the analysis saw it come.

    One that does not was made in a way that the analysis missed, whatever other call it is like.
    """
    sites = (site for site in facts.calls if site.tool == tool.name)
    return at is None or any(site.line in at and site.fits(arguments) for site in sites)


def _origins(
    session: Session,
    facts: Facts,
    tool: BoundTool,
    arguments: Mapping[str, JSON],
    waiting: Collection[str],
) -> dict[str, Origin]:
    """The origin of each argument, and of each part of one that has a role.

    Args:
        waiting: tokens of effects that have not happened.
    """
    # A tool the analysis saw no call of has origins nobody knows, which the request then says.
    seen_at_all = any(site.tool == tool.name for site in facts.calls)
    named = arguments if seen_at_all else {}
    parts = (*named, *requests.inner_paths(tool.spec, named))
    origins = {name: facts.origins_of(tool.name, name, arguments) for name in parts}
    for name in parts:
        value, origin = value_at(arguments, name), origins[name]
        role = requests.role_in(tool.spec, name, value)
        if role in (RECIPIENT, OBJECT):
            origins[name] = provenance.held_to(
                origin, value, session, waiting, searched=role == OBJECT
            )
        elif role in AMOUNTS:
            minor = AMOUNTS[role]
            origins[name] = provenance.reckoned(origin, value, session, waiting, minor=minor)
    return leaks.told_again(origins, arguments, tool.spec, session)


def decide_release(session: Session, step: Step, answer: JSON) -> Gated:
    """May this answer leave the run?"""
    facts = session.facts(step.number, step.code)
    origin = facts.origins_of("final_answer", "value")
    if artifacts.is_referring(answer):
        # Who wrote a file is known as a whole: with all that the run has read.
        files = facts.variables.get(FILES, Origin(labels=frozenset({UNKNOWN_LABEL})))
        origin = origin.joined(files).joined(Origin(labels=session.control_labels))
    origin = origin.joined(Origin(labels=leaks.labels_in(answer, session)))
    return _gated(session, requests.release(_of(session, step.number), answer, origin))


def explain_program(gated: Gated) -> str:
    """What the agent is told of a program that was refused: why, and what in which line."""
    found = remarks(gated.facts.to_json()) if gated.facts is not None else ()
    # What is only rough never refuses a program.
    where = in_words([remark for remark in found if not remark.rough])
    return "\n".join(filter(None, [explain(gated.decision), where]))


def explain(decision: Decision) -> str:
    """What the agent is told of a refusal: the rule and why, nothing else."""
    rules = "; ".join(
        f"rule {rule.id}: {rule.sentence}" + (f" ({rule.reason})" if rule.reason else "")
        for rule in decision.rules
        if not rule.shadow
    )
    return rules or decision.sentence


def _told(origin: Origin, session: Session, role: str) -> list[str]:
    """Origins as people read them: tools and the task; what lies between only where they do not.

    A program's literals and variables are how a value travelled, not where it came from; but an
    address that it wrote may be the value, whatever stands beside it. What outsiders wrote, and no
    tool returned, stood in a file of the task.
    """
    read = {TASK_LITERAL: TASK, ADDRESS: LITERAL if role in AMOUNTS else ADDRESS}
    named = {read.get(source, source) for source in origin.sources}
    tools = {source for source in named if source.startswith(TOOL)}
    ends = {source for source in named if source == TASK} | tools
    if ends and ADDRESS in origin.sources:
        ends.add(read[ADDRESS])
    if UNTRUSTED in origin.labels and not tools & _untrusted(session):
        ends = (ends - {TASK}) | {FILE}
    return sorted(ends or named)


def _untrusted(session: Session) -> set[str]:
    """The tools whose results outsiders wrote, as origins name them."""
    return {f"{TOOL}{n}" for n, tool in session.tools.items() if UNTRUSTED in tool.spec.labels}


def _gated(session: Session, request: Request) -> Gated:
    return Gated(_decide(request, session.policy_set), request)


def _decide(request: Request, policy_set: PolicySet) -> Decision:
    with tracing.span(f"decision {request.action}") as span:
        decision = decide(request, policy_set)
        tracing.decided(span, request.action, decision)
    return decision


def draft(
    run: Run, gated: Gated, policy_version_id: UUID, *, step: int | None, seq: int | None
) -> DecisionDraft:
    """A decision to be stored, before anything it allows has happened."""
    decision = gated.decision
    return DecisionDraft(
        actor=Actor("agent", str(run.agent_version_id), str(run.agent_version)),
        on_behalf_of=Actor(run.requester_type, run.requester_id, run.requester_name),
        action=gated.request.action,
        outcome=decision.outcome.value,
        sentence=decision.sentence,
        rules=[_rule(rule) for rule in decision.rules],
        errors=decision.errors,
        request=gated.request.to_json(),
        facts=gated.facts.to_json() if gated.facts is not None else None,
        facts_digest=gated.facts.digest if gated.facts is not None else "",
        policy_version_id=policy_version_id,
        run_id=run.id,
        step=step,
        call_seq=seq,
        detail={"prompt": sightings.told(gated.found)} if gated.found else {},
    )


def _of(session: Session, number: int) -> requests.RunContext:
    return _context(session.run, number, session.control_labels, session.writes)


def _context(run: Run, number: int, labels: frozenset[str], writes: int = 0) -> requests.RunContext:
    version = run.agent_version
    return requests.RunContext(
        workspace=str(run.workspace_id),
        agent=version.agent.name,
        agent_version=version.digest,
        requester=run.requester_id,
        agency=version.agency,
        step=number,
        control_labels=labels,
        spent={
            "writes": writes,
            "steps": run.steps_taken,
            "tokens": run.input_tokens + run.output_tokens,
            "cost_micros": run.cost_micros,
            "tool_calls": run.calls_made,
            "seconds": run.working_ms // 1000,
        },
        now=datetime.now(UTC),
    )


def _rule(rule: FiredRule) -> dict[str, JSON]:
    return {**asdict(rule), "roles": list(rule.roles), "obligations": list(rule.obligations)}
