"""The values that cross this room's wall."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Protocol, TypeAlias

from agents.sandbox.files import GivenFile, LeftFile
from agents.sandbox.protocol import JSON, GuestError

__all__ = [
    "JSON",
    "CallHandler",
    "Deferred",
    "EndStep",
    "GivenFile",
    "GuestCall",
    "GuestError",
    "JailLimits",
    "LeftFile",
    "Parameter",
    "Raise",
    "Reply",
    "StepRequest",
    "StepResult",
    "StepStatus",
    "Stub",
    "Value",
]

# Room for the longest error message that the guest sends, in JSON's longest form.
LEAST_FRAME_BYTES = 1 << 18


@dataclass(frozen=True)
class JailLimits:
    """What one jail may use. Every number is positive; nothing is unlimited.

    Attributes:
        wall_s: wall-clock seconds of one step, without the time the host takes for calls.
        cpu_s: processor seconds of one step, over all its threads.
        memory_bytes: address space of the interpreter, some 30 MB of which are its own.
        output_bytes: what one step may print, in UTF-8.
        disk_bytes: size of /tmp, the only place that can be written to.
        pids: threads; a jail has one process.
        frame_bytes: longest message: arguments of a call, final answer, last value.
    """

    wall_s: float = 30.0
    cpu_s: int = 20
    memory_bytes: int = 512 << 20
    output_bytes: int = 1 << 20
    disk_bytes: int = 32 << 20
    pids: int = 32
    frame_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise ValueError(f"{one.name} must be positive: 0 does not mean unlimited")
        if self.frame_bytes < LEAST_FRAME_BYTES:
            raise ValueError(f"frame_bytes must be at least {LEAST_FRAME_BYTES}")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a tool; ``default`` is filled in where ``required`` is false."""

    name: str
    required: bool = True
    default: JSON = None


@dataclass(frozen=True)
class Stub:
    """A tool as the program sees it; parameters in the order of positions."""

    name: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class StepRequest:
    """One program to run.

    Attributes:
        index: number of the step; the program's file is named after it.
        code: the program.
        time_us: the journaled time of the step, microseconds since 1970 UTC; the virtual
            clock starts there.
        seed: what every random source is seeded from. One seed for a run: sources go on from
            step to step. Another seed than the last step's starts them again.
        stubs: the tools that the program may call.
        state: variables that are set before the program starts.
        files: what it finds in ``in/``; given with a jail's first step.
        modules: what the program may import, with what is below it; None for everything the
            runtime has. Good manners, not a boundary: the policy decides about imports.
    """

    index: int
    code: str
    time_us: int
    seed: str
    stubs: tuple[Stub, ...] = ()
    state: Mapping[str, JSON] = field(default_factory=dict)
    modules: tuple[str, ...] | None = None
    files: tuple[GivenFile, ...] = ()


@dataclass(frozen=True)
class GuestCall:
    """A call that the program makes.

    Attributes:
        seq: number of the call within its step, from 0.
        tool: name of one of the step's stubs.
        arguments: by name, defaults filled in. A placeholder is
            ``{"$placeholder": token, "path": [member, …]}``; inside text it is ``⟦token⟧``
            or ``⟦token/member/…⟧`` (the path as an RFC 6901 pointer). Whether a token was
            issued is for the handler to check: programs can write both forms themselves.
        at: lines of the step's program that led to it, from the innermost; what a hostile guest
            says of them can only raise doubts.
    """

    seq: int
    tool: str
    arguments: dict[str, JSON]
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class Value:
    """The call returned this."""

    value: JSON


@dataclass(frozen=True)
class Raise:
    """The call raised.

    In the program it is a ``ToolError`` and, where there is one, the built-in exception of
    this name.
    """

    type: str
    message: str


@dataclass(frozen=True)
class Deferred:
    """The call waits for signatures: the program goes on with a placeholder.

    Attributes:
        token: unguessable, at most 200 characters, none of them ``⟦⟧/``.
        schema: JSON Schema of the result; says which members exist for certain.
    """

    token: str
    schema: JSON


@dataclass(frozen=True)
class EndStep:
    """The step ends here; nothing of the program runs any more."""

    reason: str


Reply: TypeAlias = Value | Raise | Deferred | EndStep


class CallHandler(Protocol):
    """What the host does about a program's calls; runs in the thread that called ``step``."""

    def call(self, call: GuestCall) -> Reply:
        """Answer a call. An exception ends the jail and passes through ``Jail.step``."""
        ...

    def needs_value(self, token: str, what: str) -> None:
        """Learn that the program used the value of a placeholder: the step has ended there.

        Args:
            token: as the program gives it; check that it was issued.
            what: what was done with it, in words, e.g. ``comparison``.
        """
        ...


class StepStatus(StrEnum):
    """How a step ended. After any but the first four the jail is gone."""

    COMPLETED = "completed"
    ERROR = "error"
    FINAL = "final"
    STOPPED = "stopped"
    LIMIT_TIME = "limit_time"
    LIMIT_MEMORY = "limit_memory"
    LIMIT_OUTPUT = "limit_output"
    JAIL_KILLED = "jail_killed"


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        status: how it ended.
        stdout: what it printed, at most ``output_bytes`` of it; storable text.
        stdout_bytes: how much that was in UTF-8, before any cut.
        stdout_sha256: hex digest of ``stdout`` with addresses masked (``at 0x…``), equal at replay.
        value: last top-level statement's value as JSON, or ``{"repr": text}``; None without one.
        error: the program's exception, or the limit that it met (``type`` is the status then).
        final: the value given to ``final_answer`` where status is ``final``.
        cpu_ms: processor time of the jail, measured from outside.
        wall_ms: wall-clock time without the handler's.
        calls: how many calls the handler was asked.
        files: what the step left in ``out/``, new or changed since the step before.
        skipped: name and reason of each file there that was not taken.
    """

    status: StepStatus
    stdout: str
    stdout_bytes: int
    stdout_sha256: str
    value: JSON = None
    error: GuestError | None = None
    final: JSON = None
    cpu_ms: int = 0
    wall_ms: int = 0
    calls: int = 0
    files: tuple[LeftFile, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
