"""What stood in the prompt of a run that was sent to no model because of it."""

import json
from collections.abc import Iterable, Iterator
from uuid import UUID

from agents.conversation import messages
from agents.conversation.sightings import Sighting, Spoken, at_fault, sightings
from agents.models import AgentVersion, Run, RunState, Step
from audit.transactions import in_workspace
from policies.engine import Outcome
from policies.models import DecisionRecord


def prompt_sightings(workspace_id: UUID, run_id: UUID) -> tuple[Sighting, ...]:
    """Where secrets and personal data stand that ended the run; () where they did not.

    Looked for again in the run's own rows, since no value is kept beside the decision.
    """
    with in_workspace(workspace_id):
        ended = Run.objects.filter(workspace_id=workspace_id, id=run_id, state=RunState.DENIED)
        run = ended.select_related("agent_version__agent").first()
        made = DecisionRecord.objects.filter(run_id=run_id, action="use_model")
        last = made.select_related("policy_version").order_by("created").last()
        if run is None or last is None or last.outcome == Outcome.ALLOW:
            return ()
        steps = Step.objects.filter(run=run).only("number", "reply", "code", "observation")
        found = sightings(_said(run, steps.order_by("number")))
        return tuple(at_fault(found, last.rules, last.policy_version.text))


def _said(run: Run, steps: Iterable[Step]) -> Iterator[Spoken]:
    yield Spoken("instructions", 0, _own(run.agent_version))
    yield messages.task(run)
    for step in steps:
        yield from messages.turn(step)


def _own(version: AgentVersion) -> str:
    """What the model is told of its agent and tools, without the code behind them."""
    told = [version.agent.name, version.instructions, *version.imports]
    for tool in version.tools.select_related("tool"):
        shown = json.dumps([tool.parameters, tool.result], ensure_ascii=False)
        told += [tool.tool.name, tool.description, shown]
    return "\n\n".join(told)
