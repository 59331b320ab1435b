"""Starting a run: checked, decided, stored with its files and entries in one transaction.

A request is named by its digest, over what was sent: a repeat with the same key finds the run of
the first one however the agent has changed since. A run that the policy does not allow is stored
all the same, ended as `denied`.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import jsonschema
from celery import current_app
from django.db import IntegrityError, transaction

from agents import entries, gate, tracing
from agents.errors import InputsInvalid, NotFound, Refused
from agents.files import artifacts, keeping
from agents.files.artifacts import Given, Upload
from agents.kill_switches import switches
from agents.models import AgentVersion, Run, RunState
from agents.worker.leases import hold
from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, record
from audit.transactions import in_workspace
from policies import services as policies
from policies.engine import Outcome

MAX_GOAL_CHARS = 20_000


@dataclass(frozen=True)
class Started:
    """A run, and whether this request made it or an earlier one with the same key did."""

    run: Run
    repeated: bool


@dataclass(frozen=True)
class Asked:
    """A request for a run, as it was sent.

    Attributes:
        uploads: files that came with it.
        references: files of earlier runs, by id of the artifact.
        digest: names the request.
    """

    agent: str
    requester: Actor
    goal: str
    inputs: dict[str, JSON]
    key: str
    uploads: tuple[Given, ...]
    references: tuple[UUID, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        said: dict[str, JSON] = {
            "agent": self.agent,
            "goal": self.goal,
            "inputs": canonical.clean(self.inputs),
        }
        if self.uploads:
            said["files"] = [given.noted for given in self.uploads]
        if self.references:
            said["references"] = [str(reference) for reference in self.references]
        object.__setattr__(self, "digest", canonical.digest(said))


def run_start(
    *,
    workspace_id: UUID,
    agent: str,
    requester: Actor,
    goal: str = "",
    inputs: Mapping[str, JSON] | None = None,
    idempotency_key: str = "",
    files: Sequence[Upload] = (),
    file_labels: Collection[str] = ("untrusted",),
    references: Sequence[UUID] = (),
) -> Started:
    """Start a run of the newest version of an agent.

    Args:
        files: what its programs find in `in/`.
        file_labels: what is in them; `untrusted` unless the requester answers for who wrote them.
        references: files of earlier runs, which it gets too, with the labels that they have.

    Raises:
        NotFound: no such agent in this workspace.
        InputsInvalid: goal, inputs or files do not fit; says which and what is expected.
        Refused: the key was used for another request.
    """
    asked = Asked(
        agent=agent,
        requester=requester,
        goal=goal,
        inputs=dict(inputs or {}),
        key=idempotency_key,
        uploads=artifacts.accepted(files, file_labels),
        references=tuple(references),
    )
    with tracing.starting() as span, in_workspace(workspace_id):
        earlier = _earlier(asked)
        if earlier is not None:
            return Started(earlier, repeated=True)
        given = artifacts.together(asked.uploads, asked.references)
        run = _row(workspace_id, asked, given)
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError:
            # The same key at the same moment: the other request made the run.
            earlier = _earlier(asked)
            if earlier is None:
                raise
            return Started(earlier, repeated=True)
        tracing.began(span, run)
        record(workspace_id, [entries.started(run)])
        for draft in keeping.give(run, given):
            # File by file: each is encrypted in memory, and gone before the next.
            record(workspace_id, [draft])
        _decide(run)
    return Started(run, repeated=False)


def wake(run: Run) -> None:
    """Ring for a worker once this transaction commits; the sweep finds the run if nobody hears."""
    ids, headers = [str(run.workspace_id), str(run.id)], tracing.carrier()
    transaction.on_commit(
        lambda: current_app.send_task("agents.advance", ids, headers=headers), robust=True
    )


def _row(workspace_id: UUID, asked: Asked, given: Sequence[Given]) -> Run:
    """The run's row, checked and not yet saved."""
    version = _newest(asked.agent)
    goal = (asked.goal or version.goal).strip()
    _check_inputs(version, goal, asked.inputs)
    return Run(
        workspace_id=workspace_id,
        agent_version=version,
        goal=goal,
        inputs=asked.inputs,
        files=[each.noted for each in given],
        control_labels=sorted({label for each in given for label in each.noted["labels"]}),
        requester_type=asked.requester.type,
        requester_id=asked.requester.id,
        requester_name=asked.requester.name,
        idempotency_key=asked.key,
        request_digest=asked.digest,
        seed=secrets.token_hex(16),
        trace_parent=tracing.carrier().get("traceparent", ""),
    )


def _newest(agent: str) -> AgentVersion:
    version = (
        AgentVersion.objects.filter(agent__name=agent)
        .select_related("agent", "endpoint")
        .order_by("-number")
        .first()
    )
    if version is None:
        raise NotFound(f"There is no agent {agent!r} in this workspace.")
    return version


def _check_inputs(version: AgentVersion, goal: str, inputs: dict[str, JSON]) -> None:
    if not goal:
        raise InputsInvalid("Say what the agent is to do: the goal is empty.")
    if len(goal) > MAX_GOAL_CHARS:
        raise InputsInvalid(f"The goal is longer than {MAX_GOAL_CHARS} characters.")
    schema = {"additionalProperties": False, **version.inputs, "type": "object"}
    problem = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(inputs)
    )
    if problem is not None:
        where = ".".join(str(part) for part in problem.absolute_path) or "inputs"
        raise InputsInvalid(f"{where}: {problem.message}")
    if canonical.clean(inputs) != inputs or canonical.clean(goal) != goal:
        raise InputsInvalid("The text holds characters that cannot be stored (NUL).")


def _earlier(asked: Asked) -> Run | None:
    """The run that an earlier request with the same key made.

    Raises:
        Refused: that request asked for something else.
    """
    if not asked.key:
        return None
    found = Run.objects.filter(requester_id=asked.requester.id, idempotency_key=asked.key)
    earlier = found.first()
    if earlier is not None and earlier.request_digest != asked.digest:
        raise Refused("This Idempotency-Key was used for another request; use a new one.")
    return earlier


def _decide(run: Run) -> None:
    decision, draft = gate.decide_start(run)
    policies.decision_record(workspace_id=run.workspace_id, decisions=[draft])
    if decision.outcome is Outcome.ALLOW:
        switch = switches.in_force(run)
        if switch is not None:
            hold(run.id, switch)
            run.refresh_from_db(fields=["reason", "wake_at", "epoch"])
            return
        wake(run)
        return
    run.state, run.ended = RunState.DENIED, datetime.now(UTC)
    run.reason = gate.explain(decision)
    run.save()
    record(run.workspace_id, [entries.ended(run)])
