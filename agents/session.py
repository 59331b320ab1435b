"""A run in a worker's hands: what it is made of, what it has done, and its jail."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef

from agents import tracing
from agents.bound import BoundTool, bind
from agents.budgets.limits import Limits, Spent
from agents.conversation.sightings import Reader
from agents.errors import LeaseLost
from agents.files import artifacts
from agents.heard import Heard
from agents.models import AgentVersion, Call, CallState, Effect, Run, Step, StepState
from agents.ruling import rules_for
from agents.sandbox.contract import (
    CallHandler,
    GivenFile,
    JailLimits,
    StepRequest,
    StepResult,
)
from agents.sandbox.errors import JailClosed
from agents.sandbox.runtime import Runtime
from agents.sandbox.session import Jail
from agents.worker import jails
from agents.worker.leases import Lease
from audit.canonical import JSON
from audit.transactions import in_workspace
from policies import selectors as policies
from policies.engine import PolicySet
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.facts.record import FILES, TASK, TOOL, Facts, Origin

REPLAYABLE = frozenset({"completed", "error", "final"})
"""How a program must have ended for its step to be part of the variables."""


@dataclass
class Session:
    """One run while one worker holds its lease.

    Attributes:
        run: the row as last read; counters are refreshed by the journal at each commit.
        steps: every step so far, in order.
        calls: step id → place in the step → recorded call.
        runtime: what its jails are made of, named by its hash.
        given: the files that came with the task.
        reader: what was found in all that its model has been told.
        unsaid: starts and stops of jails that the log does not have yet: action, detail.
        heard: what task and tools gave and were given, as it is searched (`agents.heard`).
    """

    lease: Lease
    run: Run
    version: AgentVersion
    limits: Limits
    tools: dict[str, BoundTool]
    policy: policies.ActivePolicy
    policy_set: PolicySet
    steps: list[Step]
    calls: dict[Any, dict[int, Call]]
    runtime: Runtime
    given: tuple[GivenFile, ...] = ()
    unsaid: list[tuple[str, dict[str, JSON]]] = field(default_factory=list)
    reader: Reader[Step] = field(default_factory=Reader)
    heard: dict[Any, Heard] = field(default_factory=dict)
    lost: bool = False
    cleared: Any = None
    _jail: Jail | None = None
    _jails: int = 0
    _used: frozenset[str] | None = None
    _primed: bool = False
    _supplied: int = 0
    _facts: dict[int, Facts] = field(default_factory=dict)

    # What the run is.

    @property
    def last_step(self) -> Step | None:
        return self.steps[-1] if self.steps else None

    @property
    def next_number(self) -> int:
        return self.steps[-1].number + 1 if self.steps else 1

    @property
    def control_labels(self) -> frozenset[str]:
        """Labels of everything the model has read so far."""
        return frozenset(self.run.control_labels)

    @property
    def spent(self) -> Spent:
        run = self.run
        return Spent(
            steps=run.steps_taken,
            working_ms=run.working_ms,
            tokens=run.input_tokens + run.output_tokens,
            cost_micros=run.cost_micros,
            calls=run.calls_made,
        )

    @property
    def imports(self) -> frozenset[str]:
        """What programs may import: the standard list and what the agent version adds."""
        return DEFAULT_IMPORTS | frozenset(self.version.imports)

    @property
    def writes(self) -> int:
        """Write calls of the run that happened or are planned."""
        dropped = (CallState.FAILED, CallState.VOID)
        return sum(
            call.tool_version.effect == Effect.WRITE and call.state not in dropped
            for calls in self.calls.values()
            for call in calls.values()
        )

    @property
    def used_tools(self) -> frozenset[str]:
        """Tools that this version of the agent has called with success, in any run.

        Asked for only where a rule wants to know.
        """
        if "context.call.first_use" not in self.policy_set.reads:
            return frozenset()
        if self._used is None:
            with in_workspace(self.lease.workspace_id):
                made = Call.objects.filter(
                    tool_version=OuterRef("pk"),
                    run__agent_version=self.version,
                    state=CallState.SUCCEEDED,
                )
                used = self.version.tools.filter(Exists(made)).values_list("tool__name", flat=True)
                self._used = frozenset(used)
        now = {
            call.tool_version.tool.name
            for calls in self.calls.values()
            for call in calls.values()
            if call.state == CallState.SUCCEEDED
        }
        return self._used | now

    def follow_policy(self) -> None:
        """Decide by the policy in force now, which may be another than when the run was taken."""
        active = policies.active_policy(self.lease.workspace_id)
        if active.version_id != self.policy.version_id:
            specs = [tool.spec for tool in self.tools.values()]
            rules = rules_for(self.lease.workspace_id, active.text, specs)
            self.policy, self.policy_set = active, rules

    def calls_left(self, fresh: int) -> int:
        """Tool calls the run may still make, when `fresh` are not yet counted on it."""
        return self.limits.calls - self.run.calls_made - fresh

    def known(self, before: int) -> dict[str, Origin]:
        """Origins of the variables that the steps before number `before` left behind."""
        origins = {name: Origin(sources=frozenset({TASK})) for name in self.run.inputs}
        if self.run.files:
            labels = {label for file in self.run.files for label in file["labels"]}
            origins[FILES] = Origin(frozenset({TASK}), frozenset(labels))
        for step in self.steps:
            if step.number < before and replayable(step):
                origins.update(_origins(step.variables))
        for call in self._calls_with_files(0, before):
            tool = call.tool_version
            came = Origin(frozenset({f"{TOOL}{tool.tool.name}"}), frozenset(tool.labels))
            origins[FILES] = came.joined(origins.get(FILES, came))
        return origins

    def _calls_with_files(self, after: int, before: int) -> list[Call]:
        """Calls that gave files, of the steps between two numbers, in their order."""
        steps = [step for step in self.steps if after <= step.number < before]
        journals = [self.recorded(step) for step in steps]
        return [each[seq] for each in journals for seq in sorted(each) if each[seq].files]

    def _new_files(self, step: Step) -> tuple[GivenFile, ...]:
        """What the jail has not got yet: files of the task, and of tools in earlier steps."""
        calls = self._calls_with_files(self._supplied, step.number)
        noted = [file for call in calls for file in call.files]
        self._supplied = step.number
        if not noted:
            return () if self._primed else self.given
        with in_workspace(self.lease.workspace_id):
            return (*(() if self._primed else self.given), *artifacts.fetched(noted))

    def facts(self, number: int, code: str) -> Facts:
        """Facts of the program of step `number`, extracted once."""
        if number not in self._facts:
            with tracing.span("facts"):
                self._facts[number] = extract(
                    code,
                    tools=[tool.spec for tool in self.tools.values()],
                    allowed_imports=self.imports,
                    known=self.known(number),
                    task_text=self.run.goal,
                )
        return self._facts[number]

    # The jail.

    @property
    def jail_limits(self) -> JailLimits:
        limits = self.limits
        return JailLimits(
            wall_s=limits.step_wall_s,
            cpu_s=limits.step_cpu_s,
            memory_bytes=limits.memory_mb << 20,
            output_bytes=limits.output_kb << 10,
            disk_bytes=limits.disk_mb << 20,
        )

    @property
    def has_jail(self) -> bool:
        return self._jail is not None and self._jail.alive

    def new_jail(self) -> None:
        """Put a fresh jail in place of whatever was there."""
        self.drop_jail()
        with tracing.jail_start():
            self._jail, self._primed = jails.start(self.runtime, self.jail_limits), False
        self._supplied = 0
        self._jails += 1
        held = {"runtime": self.runtime.digest, **jails.held(self._jail)}
        self.unsaid.append(("sandbox.started", {"jail": self._jails, **held}))

    def execute(self, step: Step, handler: CallHandler) -> StepResult:
        """Run a step's program in the run's jail, as it stands."""
        if self._jail is None:
            raise LeaseLost("the run was stopped")
        request = StepRequest(
            index=step.number,
            code=step.code,
            time_us=step.time_us,
            seed=f"{self.run.seed}:{step.number}",
            stubs=tuple(tool.stub for tool in self.tools.values()),
            state={} if self._primed else self.run.inputs,
            files=self._new_files(step),
        )
        self._primed = True
        left = [file for each in self.steps if each.number < step.number for file in each.files]
        left += [f for call in self._calls_with_files(0, step.number + 1) for f in call.files]
        try:
            return artifacts.resolved(self._jail.step(request, handler), left)
        except JailClosed as error:
            if self.lost:
                raise LeaseLost("the run was stopped") from error
            raise

    def drop_jail(self) -> None:
        """End the jail; the next step starts from a restored one."""
        if self._jail is not None:
            self._jail.close()
            because = {"because": self._jail.killed} if self._jail.killed else {}
            self.unsaid.append(("sandbox.stopped", {"jail": self._jails, **because}))
            self._jail = None

    def stop(self) -> None:
        """Called from the lease keeper's thread: the run is no longer ours."""
        self.lost = True
        jail = self._jail
        if jail is not None:
            jail.kill("the run was stopped")

    def recorded(self, step: Step) -> dict[int, Call]:
        return self.calls.setdefault(step.id, {})


def replayable(step: Step) -> bool:
    """Whether the step's program is part of the variables: it ran, and ended by itself."""
    return step.state == StepState.EXECUTED and step.status in REPLAYABLE


def open_session(lease: Lease) -> Session:
    """Read all a worker needs of a run, in one transaction."""
    with in_workspace(lease.workspace_id):
        run = Run.objects.select_related(
            "agent_version__agent", "agent_version__endpoint", "workspace"
        ).get(id=lease.run_id)
        version = run.agent_version
        tools = [bind(tool) for tool in version.tools.select_related("tool")]
        given = artifacts.given(run)
        steps = list(
            Step.objects.filter(run=run).select_related("approval_request").order_by("number")
        )
        calls: dict[Any, dict[int, Call]] = {}
        for call in Call.objects.filter(run=run).select_related("tool_version__tool"):
            calls.setdefault(call.step_id, {})[call.seq] = call
        policy = policies.active_policy(lease.workspace_id)
    return Session(
        lease=lease,
        run=run,
        version=version,
        limits=Limits.from_json(version.limits),
        tools={tool.name: tool for tool in tools},
        policy=policy,
        policy_set=rules_for(lease.workspace_id, policy.text, [tool.spec for tool in tools]),
        steps=steps,
        calls=calls,
        runtime=jails.runtime_named(version.runtime),
        given=given,
    )


def _origins(stored: dict[str, Any]) -> dict[str, Origin]:
    return {
        name: Origin(
            frozenset(origin["sources"]), frozenset(origin["labels"]), frozenset(origin["control"])
        )
        for name, origin in stored.items()
    }
