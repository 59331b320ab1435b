"""Replay a run from an exported bundle: its programs run again, the log's entries answer them.

Needs no database: programs, inputs, what the tools answered, the seed and the journaled times are
payloads and details of the run's entries, so the bundle must have been made with payloads in the
clear (`audit_export --run RUN --payloads`). The sandbox and the runtime are this host's; another
runtime than the recorded one is told as a difference.

Files that a program was given, by its task or by a tool, are payloads of their entries, and must be
what the entries say by hash.

Guarantees: nothing is called; a call that the log does not hold is never made. Not covered: a step
that left no record of its end (refused, stopped, given up); and runs that were given a file larger
than the log holds (`keeping.MAX_LOGGED_BYTES`): the replay stops there and says so.

Effects that a program planned and then gave up by failing have no entry; such a step is replayed
with references in their place, and what it printed is compared all the same.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from agents.errors import Divergence, Refused, ReplayDiverged
from agents.files import artifacts
from agents.replay.restoring import Replayed, where_they_part
from agents.sandbox.contract import (
    Deferred,
    EndStep,
    GivenFile,
    GuestCall,
    JailLimits,
    Parameter,
    Raise,
    Reply,
    StepRequest,
    StepResult,
    Stub,
    Value,
)
from agents.sandbox.session import Jail
from agents.session import REPLAYABLE
from agents.worker import jails
from audit import canonical
from audit.canonical import JSON
from audit.export.reading import Shown, read

OUTCOMES = frozenset({"call.succeeded", "call.failed", "call.resolved"})
HOW = "Export it with its payloads: manage.py audit_export WORKSPACE --run RUN --payloads"


class BundleLacks(Refused):
    """The bundle does not hold what a replay needs; the message says what, and how to get it."""


@dataclass(frozen=True)
class Recorded:
    """One call as the log tells it; `answer` is what the program got."""

    tool: str
    arguments: JSON
    answer: Reply


@dataclass
class Step:
    """One program with everything that the log says of it.

    Attributes:
        seqs: id of a call → its place.
        files: id of a call → a file that its tool gave, as often as it gave one.
    """

    number: int
    code: str = ""
    time_us: int = 0
    status: str = ""
    stdout_digest: str = ""
    stdout_bytes: int = 0
    runtime: str = ""
    told: str = ""
    answered: bool = False
    answer: JSON = None
    calls: dict[int, Recorded] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    files: list[tuple[str, GivenFile | None]] = field(default_factory=list)

    def given_files(self) -> list[GivenFile]:
        """The files that its tools gave, in the order of their calls."""
        inorder = sorted(self.files, key=lambda each: self.seqs[each[0]])
        return _held([file for _, file in inorder])


@dataclass
class RecordedRun:
    """One run of a bundle."""

    id: UUID
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    setting: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "not ended in this bundle"
    steps: dict[int, Step] = field(default_factory=dict)
    files: list[GivenFile | None] = field(default_factory=list)

    def step(self, number: int) -> Step:
        return self.steps.setdefault(number, Step(number))


def runs(path: Path) -> dict[UUID, RecordedRun]:
    """The runs of which a bundle shows entries.

    Raises:
        BundleUnreadable: it is no bundle.
        BundleLacks: the payloads of a run are not in it.
    """
    found: dict[UUID, RecordedRun] = {}
    for shown in read(path):
        if "run" in shown.leaf:
            identity = UUID(shown.leaf["run"])
            _take(found.setdefault(identity, RecordedRun(identity)), shown)
    return found


def rehearse(run: RecordedRun) -> Iterator[Replayed]:
    """Replay every step that the log saw end by itself; stop at the first that differs.

    Raises:
        BundleLacks: what the programs ran in is not in the bundle.
        RuntimeBuildError, SandboxUnavailable: this host has no such runtime, or no sandbox.
    """
    if not run.setting:
        raise BundleLacks(f"The bundle lacks the beginning of run {run.id}. {HOW}")
    if run.setting.get("files", 0) != len(run.files):
        raise BundleLacks(f"The bundle lacks a file that run {run.id} was given. {HOW}")
    fresh = _held(run.files)
    runtime = jails.runtime_named(run.setting["runtime"])
    jail = jails.start(runtime, JailLimits(**run.setting["limits"]))
    state, left = run.inputs, list[dict[str, JSON]]()
    try:
        for _, step in sorted(run.steps.items()):
            came = step.given_files()
            left += artifacts.listed(artifacts.of_tool(came))
            if step.status not in REPLAYABLE:
                fresh += came
                why = f"it ended as {step.status}" if step.status else "it did not run to its end"
                yield Replayed(step.number, skipped=why)
                continue
            start = Start(jail, runtime.digest, state, tuple(fresh))
            yield (told := _rehearsed(run, step, start, left))
            state, fresh = {}, came
            if told.divergence is not None:
                return
    finally:
        jail.close()


def _held(files: Iterable[GivenFile | None]) -> list[GivenFile]:
    found = list(files)
    held = [file for file in found if file is not None]
    if len(held) < len(found):
        raise BundleLacks("The run was given a file of which the log holds the hash alone.")
    return held


@dataclass(frozen=True)
class Start:
    """What a step finds: its jail, and what is new in there."""

    jail: Jail
    runtime: str
    state: Mapping[str, JSON]
    files: tuple[GivenFile, ...]


def _take(run: RecordedRun, shown: Shown) -> None:
    """Add what one entry says."""
    leaf, detail = shown.leaf, shown.leaf.get("detail", {})
    match leaf["action"]:
        case "run.started":
            run.inputs = _payload(shown, "inputs")
        case "step.proposed":
            step = run.step(detail["step"])
            step.code, step.time_us = _payload(shown, "code"), detail.get("time_us", 0)
            if step.number == 1:
                run.setting = _payload(shown, "setting")
        case "step.executed":
            step = run.step(detail["step"])
            step.status, step.runtime = detail["status"], detail["runtime"]
            step.stdout_digest, step.stdout_bytes = detail["stdout"], detail["stdout_bytes"]
            step.told = str(shown.payloads.get("observation", ""))
        case "answer.released":
            step = run.step(detail["step"])
            step.answered, step.answer = True, _payload(shown, "answer")
        case "run.ended" | "run.cancelled":
            run.outcome = str(detail.get("outcome", ""))
        case "artifact.given":
            run.files.append(_file(shown))
        case "artifact.kept" if "call" in detail:
            run.step(detail["step"]).files.append((detail["call"], _file(shown)))
        case action if action in OUTCOMES:
            _take_call(run.step(detail["step"]), shown, detail)


def _take_call(step: Step, shown: Shown, detail: Mapping[str, Any]) -> None:
    before = step.calls.get(detail["seq"])
    if shown.leaf["action"] == "call.resolved":
        if before is not None and detail["happened"]:
            answer = Value(_payload(shown, "result"))
            step.calls[detail["seq"]] = Recorded(before.tool, before.arguments, answer)
        return
    step.seqs[shown.leaf["subject"]["id"]] = detail["seq"]
    arguments = _payload(shown, "arguments")
    if shown.leaf["action"] == "call.succeeded":
        reply: Reply = Value(_payload(shown, "result"))
    else:
        error = _payload(shown, "error") or {}
        reply = Raise(error.get("type", "ToolError"), error.get("message", ""))
    step.calls[detail["seq"]] = Recorded(detail["tool"], arguments, reply)


def _file(shown: Shown) -> GivenFile | None:
    """A file that a program was given; None where the log holds its hash alone.

    Raises:
        BundleLacks: its content is withheld or gone, or not what the entry says.
    """
    detail = shown.leaf["detail"]
    if "content" not in shown.leaf["payloads"]:
        return None
    content = str(_payload(shown, "content")).encode("latin-1")
    if hashlib.sha256(content).hexdigest() != detail["sha256"]:
        raise BundleLacks(f"The file of entry {shown.position} is not what the entry says.")
    return GivenFile(str(_payload(shown, "name")), content)


def _payload(shown: Shown, name: str) -> Any:  # noqa: ANN401 - any JSON value
    if name in shown.payloads:
        return shown.payloads[name]
    state = shown.withheld.get(name)
    if state is None:
        made = "this bundle is of a release that did not record it"
        raise BundleLacks(f"Entry {shown.position} has no {name}: {made}.")
    if state == "withheld":
        raise BundleLacks(f"The bundle shows no payloads. {HOW}")
    raise BundleLacks(f"The {name} of entry {shown.position} is {state}; it cannot be replayed.")


@dataclass
class _Answers:
    """Answers the calls of one program from the log."""

    step: Step
    seen: int = 0
    planned: int = 0
    missing: EndStep | None = None

    def call(self, guest: GuestCall) -> Reply:
        self.seen = guest.seq + 1
        recorded = self.step.calls.get(guest.seq)
        if recorded is None:
            return self._unrecorded(guest)
        if guest.tool != recorded.tool:
            self._differs(guest.seq, "tool", recorded.tool, guest.tool)
        if not _same_arguments(recorded.arguments, guest.arguments):
            sides = json.dumps(recorded.arguments), json.dumps(guest.arguments)
            self._differs(guest.seq, "arguments", *where_they_part(*sides))
        return recorded.answer

    def needs_value(self, token: str, what: str) -> None:
        """A planned effect has no result here; the step ends as it would have."""

    def _unrecorded(self, guest: GuestCall) -> Reply:
        """A call the log does not hold: planned and given up, if the program then failed."""
        if self.step.status != "error":
            self._differs(guest.seq, "tool call", "none", guest.tool)
        self.planned += 1
        return Deferred(f"not-in-the-log-{guest.seq:04d}", {})

    def _differs(self, seq: int, what: str, recorded: str, replayed: str) -> None:
        raise ReplayDiverged(Divergence(self.step.number, seq, what, recorded, replayed))


def _rehearsed(run: RecordedRun, step: Step, start: Start, left: list[dict[str, JSON]]) -> Replayed:
    """Replay one step; the files it leaves are added to `left`, for answers that refer to them."""
    answers = _Answers(step)
    request = StepRequest(
        index=step.number,
        code=step.code,
        time_us=step.time_us,
        seed=f"{run.setting['seed']}:{step.number}",
        stubs=tuple(_stub(stub) for stub in run.setting["stubs"]),
        state=start.state,
        files=start.files,
    )
    try:
        _same(step, "runtime", step.runtime, start.runtime)
        result = artifacts.resolved(start.jail.step(request, answers), left)
        left += artifacts.listed(result.files)
        _check(step, result, answers)
    except ReplayDiverged as error:
        return Replayed(step.number, divergence=error.divergence)
    return Replayed(step.number, f"{len(step.calls)} calls, {step.stdout_bytes} bytes printed")


def _check(step: Step, result: StepResult, answers: _Answers) -> None:
    _same(step, "ending", step.status, result.status.value)
    if step.stdout_digest != result.stdout_sha256:
        # The log commits to the hash of what was printed; the agent was told its text.
        recorded = f"sha256 {step.stdout_digest}; the agent was told: {step.told[:400]}"
        raise ReplayDiverged(
            Divergence(step.number, None, "printed text", recorded, result.stdout[:400])
        )
    made = len(step.calls) + answers.planned
    _same(step, "number of tool calls", str(made), str(answers.seen))
    if step.answered:
        final = canonical.clean(result.final)
        if canonical.digest(step.answer) != canonical.digest(final):
            sides = where_they_part(json.dumps(step.answer), json.dumps(final))
            raise ReplayDiverged(Divergence(step.number, None, "final answer", *sides))


def _same(step: Step, what: str, before: str, now: str) -> None:
    if before != now:
        raise ReplayDiverged(Divergence(step.number, None, what, before, now))


def _same_arguments(recorded: JSON, given: Mapping[str, JSON]) -> bool:
    """Whether a call is the recorded one; a whole number may stand as text, as for amounts."""
    if canonical.digest(recorded) == canonical.digest(dict(given)):
        return True
    return recorded.keys() == given.keys() and all(
        canonical.digest(recorded[name]) == canonical.digest(value)
        or (type(value) is int and recorded[name] == str(value))
        for name, value in given.items()
    )


def _stub(stored: Mapping[str, Any]) -> Stub:
    return Stub(stored["name"], tuple(Parameter(**one) for one in stored["parameters"]))


def chosen(found: Mapping[UUID, RecordedRun], wanted: Iterable[UUID]) -> RecordedRun:
    """The run to replay.

    Raises:
        BundleLacks: the bundle has not this run, or has several and none was named.
    """
    names = list(wanted) or list(found)
    if len(names) == 1 and names[0] in found:
        return found[names[0]]
    listed = "\n  ".join(map(str, found)) or "none"
    raise BundleLacks(f"Name one of the runs of the bundle:\n  {listed}")
