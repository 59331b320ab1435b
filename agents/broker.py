"""The broker: every tool call of a program crosses it, and nothing else lets an effect happen.

For each call, in this order:

1. The call has a place in the step's journal already: it must be the same call (tool version and
   canonical arguments), and the journal answers. An entry of a signed manifest is applied here.
2. Else it is new: the tool must be one of the agent version's, the call limit must hold, no kill
   switch may be set (a call with an intent looks again, with it), the arguments must match the
   schema.
3. The policy decides on the actual arguments.
4. `deny` raises in the program. `review`, or any write after a deferred one, is *deferred*: the
   program gets a placeholder and goes on; the step then asks for a countersignature.
5. A read runs and is journaled with the step; a sensitive read and every write has its intent
   committed before it runs and its outcome after.

The guest is hostile: it supplies a tool name and JSON arguments, nothing more. What it may call, as
what, and whether it was signed is read from our own rows. Not promised: that the other side of a
tool honours the idempotency key it is given.
"""

import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agents import gate, journal, tracing
from agents.approvals import manifest
from agents.bound import BoundTool
from agents.errors import BudgetCrossed, Divergence, ReplayDiverged, SwitchedOff
from agents.files import artifacts
from agents.kill_switches import switches
from agents.models import Call, CallState, Effect, KillSwitch, Step
from agents.sandbox.contract import Deferred, EndStep, GuestCall, Raise, Reply, Value
from agents.session import Session
from agents.tools.errors import (
    Acted,
    ToolArgumentError,
    ToolBusy,
    ToolError,
    ToolUnavailable,
    ToolUnreachable,
)
from agents.tools.invoke import ToolContext, invoke, validate_arguments
from agents.tools.redaction import told
from audit import canonical
from audit.canonical import JSON
from policies.engine import Decision, Outcome


class Ending(StrEnum):
    """Why the broker ended a step before the program did."""

    NONE = ""
    NEEDS_RESULT = "needs_result"
    IN_DOUBT = "in_doubt"
    MISMATCH = "mismatch"
    EFFECT_FAILED = "effect_failed"
    CALL_LIMIT = "call_limit"
    SWITCHED_OFF = "switched_off"


SAYS_NOTHING = frozenset(
    {ToolBusy.kind, ToolUnavailable.kind, ToolUnreachable.kind}
    | {"Http408", "Http409", "Http425", "Http429"}
)
"""Failures of a repeated call that leave open what became of the first: it did not get through, or
was refused because the first is there."""


@dataclass
class Broker:
    """Answers the calls of one pass over one step.

    Attributes:
        step: the step whose program runs.
        recorded: the step's journal so far, by place.
        approved: number of the manifest that was signed and consumed for this pass, if any.
        gated: decisions of this pass that are not stored yet.
        decisions: every decision of this pass, by place; what a manifest asks signatures for.
        over: budgets of the day that an effect would cross, by place, where signatures may.
        history: the step ended in the past and is only being restored: nothing new may happen.
    """

    session: Session
    step: Step
    recorded: dict[int, Call]
    approved: int | None = None
    history: bool = False
    fresh: list[Call] = field(default_factory=list)
    planned: list[Call] = field(default_factory=list)
    gated: dict[int, gate.Gated] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    over: dict[int, tuple[str, ...]] = field(default_factory=dict)
    results: dict[str, JSON] = field(default_factory=dict)
    ending: Ending = Ending.NONE
    note: str = ""
    switch: KillSwitch | None = None
    seen: int = 0

    def __post_init__(self) -> None:
        for call in self.recorded.values():
            if call.token and call.state == CallState.SUCCEEDED:
                self.results[call.token] = call.result

    def call(self, guest: GuestCall) -> Reply:
        """Answer one call of the program."""
        self.seen = guest.seq + 1
        recorded = self.recorded.get(guest.seq)
        if recorded is not None:
            try:
                return self._from_journal(recorded, guest)
            except manifest.Unfillable as error:
                return self._end(Ending.MISMATCH, str(error))
        if self.history:
            raise ReplayDiverged(
                Divergence(self.step.number, guest.seq, "tool call", "none", guest.tool)
            )
        return self._new(guest)

    def needs_value(self, token: str, what: str) -> None:
        """The program needs the real result of a deferred effect: its plan ends here."""
        self._end(Ending.NEEDS_RESULT, f"the program needs the result ({what})")

    @property
    def unused(self) -> list[Call]:
        """Entries of the approved manifest that were not executed, in their order."""
        if self.approved is None:
            return []
        open_entries = (
            call
            for call in self.recorded.values()
            if call.state == CallState.PLANNED and call.manifest == self.approved
        )
        return sorted(open_entries, key=lambda call: call.position or 0)

    # 1. A call that is in the journal.

    def _from_journal(self, call: Call, guest: GuestCall) -> Reply:
        mismatch = self._compare(call, guest)
        if mismatch is not None:
            if self.history or call.state != CallState.PLANNED:
                raise ReplayDiverged(mismatch)
            return self._end(Ending.MISMATCH, f"call {call.seq + 1} is not what was signed")
        match call.state:
            case CallState.SUCCEEDED:
                return Value(call.result)
            case CallState.FAILED if self._approves(call):
                return self._end(Ending.EFFECT_FAILED, f"{guest.tool}: {_failure(call).message}")
            case CallState.FAILED:
                return _failure(call)
            case CallState.VOID:
                return self._placeholder(call)
            case CallState.PLANNED:
                return self._planned_again(call, guest.at)
            case _ if self.history:
                return self._end(Ending.IN_DOUBT, f"call {call.seq + 1} is not over")
            case CallState.INTENDED:
                return self._repeat(call)
            case CallState.CLEARED:
                return self._carry_out(call)
            case _:
                return self._end(Ending.IN_DOUBT, f"the outcome of {call.tool_version} is unknown")

    def _compare(self, call: Call, guest: GuestCall) -> Divergence | None:
        """Where the program's call differs from the recorded one, if it does."""
        recorded = call.tool_version.tool.name
        if guest.tool != recorded:
            return Divergence(self.step.number, call.seq, "tool", recorded, guest.tool)
        tool = self.session.tools[recorded]
        expected = call.arguments
        if manifest.tokens(expected) <= set(self.results):
            expected = _checked(tool, manifest.fill(expected, self.results))
        now = _checked(tool, guest.arguments)
        if canonical.digest(expected) == canonical.digest(now):
            return None
        return Divergence(self.step.number, call.seq, "arguments", repr(expected), repr(now))

    def _planned_again(self, call: Call, at: Collection[int]) -> Reply:
        if self._approves(call):
            return self._apply(call)
        self.planned.append(call)
        if not self.history:
            # A pass before this one stored the plan and did not come to ask for signatures.
            gated = gate.decide_call(
                self.session,
                self.step,
                self.session.tools[call.tool_version.tool.name],
                call.arguments,
                self.planned[:-1],
                at,
                call.seq,
            )
            self._decided(call, gated)
            if gated.decision.outcome is Outcome.DENY:
                return self._end(Ending.MISMATCH, gate.explain(gated.decision))
        return self._placeholder(call)

    def _decided(self, call: Call, gated: gate.Gated) -> None:
        self.gated[call.seq] = gated
        self.decisions[call.seq] = gated.decision
        if gated.over:
            self.over[call.seq] = gated.over

    def _approves(self, call: Call) -> bool:
        return self.approved is not None and call.manifest == self.approved

    def _apply(self, call: Call) -> Reply:
        """Execute the next entry of the signed manifest, and stop everything if it fails."""
        if self.unused[0] is not call:
            return self._end(Ending.MISMATCH, f"effect {call.position} came out of its order")
        tool = self.session.tools[call.tool_version.tool.name]
        arguments = manifest.fill(call.arguments, self.results)
        problem = self._refused_when_concrete(call, tool, arguments)
        if problem:
            return self._end(Ending.MISMATCH, problem)
        return self._carry_out(call)

    def _carry_out(self, call: Call, earlier: str = "") -> Reply:
        """Make a recorded call; an entry of a manifest that fails ends the manifest."""
        tool = self.session.tools[call.tool_version.tool.name]
        call.arguments = _checked(tool, manifest.fill(call.arguments, self.results))
        call.arguments_digest = canonical.digest(call.arguments)
        reply = self._perform(call, tool, call.arguments, earlier)
        if isinstance(reply, Raise) and self._approves(call):
            return self._end(Ending.EFFECT_FAILED, f"{tool.name}: {reply.message}")
        return reply

    def _refused_when_concrete(
        self, call: Call, tool: BoundTool, arguments: Mapping[str, JSON]
    ) -> str:
        """Check what could not be checked while earlier results were unknown."""
        if not manifest.tokens(call.arguments):
            return ""
        try:
            validate_arguments(tool.definition, arguments)
        except ToolArgumentError as error:
            return f"{tool.name}: {error}"
        gated = gate.decide_call(self.session, self.step, tool, arguments, seq=call.seq)
        decision = gated.decision
        if decision.outcome is Outcome.REVIEW and self._covered(decision):
            return ""
        return "" if decision.outcome is Outcome.ALLOW else decision.sentence

    def _covered(self, decision: Decision) -> bool:
        """Whether the signatures of this pass are all that the concrete call needs."""
        request = self.step.approval_request
        seats = {} if request is None else {s["role"]: s["count"] for s in request.requirement}
        named = sum(count for role, count in seats.items() if role.startswith("reviewer:"))
        factor = decision.requirement.factor
        if factor and (request is None or request.factor != factor):
            return False
        return all(
            seats.get(role, 0) + (named if role == "reviewer" else 0) >= count
            for role, count in decision.requirement
        )

    def _repeat(self, call: Call) -> Reply:
        """An intent without outcome: the worker died in between, or the call timed out."""
        tool = self.session.tools[call.tool_version.tool.name]
        if tool.version.idempotent or tool.version.effect == Effect.READ:
            return self._carry_out(call, earlier="the worker stopped during the call")
        journal.call_in_doubt(self.session, call, "the worker stopped during the call")
        return self._end(Ending.IN_DOUBT, f"whether {tool.name} happened is not known")

    # 2.-5. A new call.

    def _new(self, guest: GuestCall) -> Reply:
        tool = self.session.tools.get(guest.tool)
        if tool is None:
            return Raise("NameError", f"there is no tool named {guest.tool!r}")
        if self.session.calls_left(self.seen_new) <= 0:
            return self._end(Ending.CALL_LIMIT, "The limit of tool calls of this run is reached.")
        switch = switches.in_force(self.session.run, tool=tool.name)
        if switch is not None:
            return self._stopped(switch)
        waits_for = manifest.tokens(guest.arguments) & {c.token for c in self.planned}
        arguments = guest.arguments
        if not waits_for:
            try:
                arguments = validate_arguments(tool.definition, guest.arguments)
            except ToolArgumentError as error:
                return self._refuse(self._row(guest, tool, arguments), error.kind, str(error))
        call = self._row(guest, tool, arguments)
        gated = gate.decide_call(
            self.session, self.step, tool, arguments, self.planned, guest.at, guest.seq
        )
        self._decided(call, gated)
        call.origins = gated.origins
        if gated.decision.outcome is Outcome.DENY:
            return self._refuse(call, "PolicyDenied", gate.explain(gated.decision))
        is_write = tool.version.effect == Effect.WRITE
        if gated.decision.outcome is Outcome.REVIEW or (is_write and self.planned):
            return self._defer(call)
        if waits_for:
            return self._end(Ending.NEEDS_RESULT, f"{tool.name} needs the result of an effect")
        if is_write or tool.sensitive:
            return self._perform(call, tool, arguments)
        return self._read(call, tool, arguments)

    @property
    def seen_new(self) -> int:
        return len(self.fresh) + len(self.planned)

    def _row(self, guest: GuestCall, tool: BoundTool, arguments: dict[str, JSON]) -> Call:
        return Call(
            workspace_id=self.session.lease.workspace_id,
            run_id=self.session.lease.run_id,
            step=self.step,
            seq=guest.seq,
            tool_version=tool.version,
            arguments=arguments,
            arguments_digest=canonical.digest(arguments),
            epoch=self.session.lease.epoch,
        )

    def _refuse(self, call: Call, kind: str, message: str) -> Reply:
        call.state = CallState.FAILED
        call.error = {"type": kind, "message": message, "refused": True}
        self._keep(call)
        return Raise(kind, message)

    def _defer(self, call: Call) -> Reply:
        call.state = CallState.PLANNED
        call.token = secrets.token_urlsafe(18)
        call.position = len(self.planned)
        self.planned.append(call)
        self._keep(call)
        return self._placeholder(call)

    def _placeholder(self, call: Call) -> Reply:
        return Deferred(call.token, call.tool_version.result)

    def _read(self, call: Call, tool: BoundTool, arguments: Mapping[str, JSON]) -> Reply:
        ended, call.duration_ms = self._invoke(call, tool, arguments)
        reply = Raise("ToolTimeout", ended.reason) if isinstance(ended, EndStep) else ended
        journal.put_outcome(call, reply)
        self._keep(call)
        return reply

    def _perform(
        self, call: Call, tool: BoundTool, arguments: Mapping[str, JSON], earlier: str = ""
    ) -> Reply:
        """Intent, effect, outcome: three moments, two commits around the effect.

        Args:
            earlier: why an attempt before this one is in doubt; "" where there was none.
        """
        try:
            refused = journal.call_intended(self.session, self.step, call, self)
        except SwitchedOff as error:
            return self._stopped(error.switch)
        except BudgetCrossed as error:
            if self._approves(call):
                return self._end(Ending.EFFECT_FAILED, str(error))
            return self._refuse(call, "BudgetCrossed", str(error))
        if refused:
            return self._end(Ending.MISMATCH, refused)
        reply, call.duration_ms = self._invoke(call, tool, arguments)
        if isinstance(reply, EndStep) and tool.version.idempotent:
            earlier = reply.reason
            reply, call.duration_ms = self._invoke(call, tool, arguments)
        if earlier and tool.version.effect == Effect.WRITE and _says_nothing(reply):
            reply = EndStep(earlier)
        if isinstance(reply, EndStep):
            if tool.version.effect == Effect.WRITE:
                journal.call_in_doubt(self.session, call, reply.reason)
                return self._end(Ending.IN_DOUBT, reply.reason)
            reply = Raise("ToolTimeout", reply.reason)
        journal.call_ended(self.session, call, reply)
        self.recorded[call.seq] = call
        if call.token and isinstance(reply, Value):
            self.results[call.token] = reply.value
        return reply

    def _invoke(
        self, call: Call, tool: BoundTool, arguments: Mapping[str, JSON]
    ) -> tuple[Value | Raise | EndStep, int]:
        began = time.monotonic()
        context = ToolContext(
            workspace=str(self.session.lease.workspace_id),
            run=str(self.session.lease.run_id),
            step=self.step.number,
            idempotency_key=call.idempotency_key,
            prefix=f"{self.step.number}-{call.seq + 1}-",
            cancelled=lambda: self.session.lost,
        )
        reply: Value | Raise | EndStep
        try:
            with tracing.tool_call(tool.name, tool.version.effect, str(call.id), arguments):
                value = invoke(tool.definition, arguments, context)
            value, files = told(value, context.kept, self._withheld(call, tool, arguments))
            reply, call.left = Value(value), artifacts.of_tool(files)
            call.files = artifacts.listed(call.left)
        except ToolError as error:
            doubtful = error.acted in (Acted.UNKNOWN, Acted.YES)
            reply = EndStep(str(error)) if doubtful else Raise(error.kind, str(error))
        return reply, int((time.monotonic() - began) * 1000)

    def _withheld(
        self, call: Call, tool: BoundTool, arguments: Mapping[str, JSON]
    ) -> Collection[str]:
        """Fields of the result that neither program nor model may be told."""
        every = self.session.policy_set.obliged("redact")
        if not every:
            return ()
        decision = self.decisions.get(call.seq)
        if decision is None:  # recorded by another worker, or signed since
            gated = gate.decide_call(self.session, self.step, tool, arguments, seq=call.seq)
            decision = gated.decision
        # What is refused by now was allowed when it was signed: then nothing named is told.
        return every if decision.outcome is Outcome.DENY else decision.obliged("redact")

    def _keep(self, call: Call) -> None:
        self.fresh.append(call)
        self.recorded[call.seq] = call

    def _stopped(self, switch: KillSwitch) -> EndStep:
        self.switch = switch
        return self._end(Ending.SWITCHED_OFF, switch.sentence)

    def _end(self, ending: Ending, note: str) -> EndStep:
        self.ending, self.note = ending, note
        return EndStep(note)


def _says_nothing(reply: Reply) -> bool:
    return isinstance(reply, Raise) and reply.type in SAYS_NOTHING


def _failure(call: Call) -> Raise:
    error = call.error or {}
    return Raise(error.get("type", "ToolError"), error.get("message", ""))


def _checked(tool: BoundTool, arguments: dict[str, JSON]) -> dict[str, JSON]:
    """The arguments as the tool gets them; as they are where they do not fit (yet)."""
    try:
        return validate_arguments(tool.definition, arguments)
    except ToolArgumentError:
        return arguments
