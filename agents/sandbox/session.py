"""One jail and its steps, seen from the host.

A step goes: (1) send the program; (2) take messages until the one that ends it, answering
calls through the handler; (3) give a result. Meanwhile the host, not the guest, watches wall
clock, processor time and output, and ends the jail when one is used up. Time that the handler
takes is not the program's.

Guarantees: ``step`` returns within ``wall_s`` of the program's own time, whatever the guest
does; after a status other than completed, error, final or stopped the jail is gone; a message
that an honest guest would not send ends the jail; nothing the guest says is trusted beyond its
being one of the messages of ``protocol``.
"""

import contextlib
import hashlib
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from agents.sandbox import files, nsjail, protocol, spawner
from agents.sandbox.cgroups import Group
from agents.sandbox.config import SandboxConfig
from agents.sandbox.contract import (
    JSON,
    CallHandler,
    Deferred,
    GuestCall,
    GuestError,
    JailLimits,
    Raise,
    Reply,
    StepRequest,
    StepResult,
    StepStatus,
    Value,
)
from agents.sandbox.errors import (
    ChannelClosed,
    JailClosed,
    ProtocolViolation,
    SandboxError,
    SandboxUnavailable,
)
from agents.sandbox.runtime import Runtime

# How often a step that keeps computing is looked at: what a program may overdraw its limit by.
_LOOK_S = 0.1
_NICENESS = 5
# How long a guest may take to hand over what a step left.
_TAKE_S = 10.0
# What nsjail itself keeps in memory, which its group counts as well.
_NSJAIL_BYTES = 32 << 20
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


class Jail:
    """A running jail. Not for several threads, except ``kill``, ``close`` and ``alive``.

    Args:
        config: the host's side.
        runtime: what the jail is made of.
        limits: what it may use.

    Raises:
        SandboxUnavailable: the host does not let it start; the message says what to do.
    """

    def __init__(self, config: SandboxConfig, runtime: Runtime, limits: JailLimits) -> None:
        self.runtime = runtime
        self.limits = limits
        self.started = monotonic()
        self._ended = threading.Lock()
        self._killed = ""
        self._guest = _Process()
        self._group = Group(
            config.cgroups,
            f"{spawner.owner_mark(os.getpid())}-{secrets.token_hex(8)}",
            limits.memory_bytes + limits.disk_bytes + _NSJAIL_BYTES,
            limits.pids + 4,  # nsjail and its helpers are in it, too.
        )
        host_end, guest_end = socket.socketpair()
        self._log, log_end = os.pipe()
        try:
            arguments = nsjail.command(
                _spec(config, runtime, limits), channel=guest_end.fileno(), log=log_end
            )
            self._nsjail = spawner.spawn(arguments, (guest_end.fileno(), log_end))
            # It takes milliseconds until nsjail has a child; the child is then in the group.
            self._group.add(self._nsjail.pid)
        except OSError as error:
            self._group.remove()
            host_end.close()
            os.close(self._log)
            raise SandboxUnavailable(f"A jail could not be started: {error}") from error
        finally:
            guest_end.close()
            os.close(log_end)
        self._channel = protocol.Channel(host_end, limits.frame_bytes)
        self._await_ready(config.start_s)

    @property
    def alive(self) -> bool:
        """Whether another step can be asked of it."""
        return not self._ended.locked() and self._nsjail.poll() is None

    @property
    def killed(self) -> str:
        """Why it was ended from outside; "" if it was not."""
        return self._killed

    @property
    def guest_pid(self) -> int:
        """The guest's process id outside the jail."""
        return self._guest.pid

    def step(self, request: StepRequest, handler: CallHandler) -> StepResult:
        """Run one program.

        Raises:
            JailClosed: the jail has ended before.
            Exception: whatever the handler raises; the jail is ended then.
        """
        if not self.alive:
            raise JailClosed("the jail has ended")
        step = _Step(request, self.limits, self._guest)
        try:
            result = self._run(step, handler)
        except BaseException:
            self.close()
            raise
        if result.status not in _SURVIVED:
            self.close()
        return result

    def kill(self, reason: str = "it was stopped from outside") -> None:
        """End the jail at once, from any thread; a step in progress ends as ``jail_killed``."""
        self._killed = self._killed or reason
        self._guest.kill()
        self._nsjail.kill()

    def close(self) -> None:
        """End the jail; returns when nothing of it runs any more."""
        if not self._ended.acquire(blocking=False):
            return
        self._guest.kill()
        # The log end is read to the end by then; nsjail ends by itself with its guest, and
        # leaves no cgroup behind that way.
        try:
            self._nsjail.wait(2)
        except subprocess.TimeoutExpired:
            self._nsjail.kill()
            self._nsjail.wait()
        self._channel.close()
        self._guest.close()
        self._group.remove()
        os.close(self._log)

    def __enter__(self) -> "Jail":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- starting

    def _await_ready(self, start_s: float) -> None:
        try:
            message = self._channel.receive(monotonic() + start_s)
            if not isinstance(message, protocol.Ready):
                raise ProtocolViolation("the guest did not say that it is ready")
            self._guest = _Process.child_of(self._nsjail.pid)
            self._group.require(self._guest.pid)
            # The worker's heartbeat goes before programs, but their jail's start does not wait.
            os.setpriority(os.PRIO_PROCESS, self._guest.pid, _NICENESS)
        except (SandboxError, TimeoutError, OSError) as error:
            self._nsjail.kill()
            self._nsjail.wait()
            log = self._read_log()
            self.close()
            raise SandboxUnavailable(_why_not(log, error)) from error

    def _read_log(self) -> str:
        pieces = []
        while select.select([self._log], [], [], 0)[0]:
            piece = os.read(self._log, 65_536)
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)[-4_000:].decode("utf-8", "replace")

    # -- one step

    def _run(self, step: "_Step", handler: CallHandler) -> StepResult:
        try:
            frame = {**_frame(step.request), "frame_bytes": self.limits.frame_bytes}
            self._channel.require_silence()
            for piece in files.frames(step.request.files):
                self._channel.send(piece, step.deadline)
            self._channel.send(frame, step.deadline)
            while True:
                message = self._next(step)
                result = self._take(step, message, handler)
                if result is not None:
                    return result
        except TimeoutError as error:
            return step.limit(StepStatus.LIMIT_TIME, str(error) or step.time_used())
        except ProtocolViolation as error:
            return step.limit(StepStatus.JAIL_KILLED, f"The jail broke its protocol: {error}.")
        except ChannelClosed:
            return step.limit(*self._why_ended())

    def _next(self, step: "_Step") -> protocol.Message:
        """Give the next message; look at the clocks while there is none."""
        while True:
            until = min(step.deadline, monotonic() + _LOOK_S)
            try:
                return self._channel.receive(until)
            except TimeoutError:
                step.check_time()

    def _take(
        self, step: "_Step", message: protocol.Message, handler: CallHandler
    ) -> StepResult | None:
        """Act on one message; give the result if it ended the step."""
        match message:
            case protocol.Ready():
                raise ProtocolViolation("ready a second time")
            case protocol.Output(text):
                step.print(text)
            case protocol.Called():
                step.print(message.out)
                if not step.exceeded:
                    return self._answer(step, message, handler)
            case protocol.Needed():
                step.print(message.out)
                if not step.exceeded:
                    handler.needs_value(message.token, message.what)
                    return step.result(StepStatus.STOPPED)
            case protocol.Finished():
                step.print(message.out)
                if not step.exceeded:
                    result = step.result(StepStatus.FINAL, final=message.value)
                    return self._with_files(result) if message.files else result
            case protocol.Done():
                step.print(message.out)
                if not step.exceeded:
                    result = step.done(message)
                    return self._with_files(result) if message.files else result
        if step.exceeded:
            limit = self.limits.output_bytes
            return step.limit(
                StepStatus.LIMIT_OUTPUT, f"The program printed more than {_amount(limit)}."
            )
        return None

    def _with_files(self, result: StepResult) -> StepResult:
        """Take what the ended step left; a guest that does not give it in time is ended."""
        if result.status not in _SURVIVED:
            return result
        taking = files.Taking(self.limits.disk_bytes)
        deadline = monotonic() + _TAKE_S
        self._channel.send({"take": taking.limits()}, deadline)
        while not taking.take(self._channel.receive(deadline)):
            pass
        return replace(result, files=tuple(taking.files), skipped=taking.skipped)

    def _answer(
        self, step: "_Step", message: protocol.Called, handler: CallHandler
    ) -> StepResult | None:
        if message.number != step.calls or message.tool not in step.tools:
            raise ProtocolViolation("a call that no stub of this step makes")
        step.calls += 1
        step.check_time()
        with step.paused():
            made = GuestCall(message.number, message.tool, message.arguments, message.at)
            reply = handler.call(made)
        if isinstance(reply, Value | Raise | Deferred):
            self._channel.send(_reply_frame(reply), step.deadline)
            return None
        # It has ended whether the guest hears of it or not.
        with contextlib.suppress(ChannelClosed, TimeoutError):
            self._channel.send(_reply_frame(reply), step.deadline)
        return step.result(StepStatus.STOPPED)

    def _why_ended(self) -> tuple[StepStatus, str]:
        """Say why the guest is gone; nsjail passes its exit status on, 128 + signal for a kill."""
        try:
            status = self._nsjail.wait(2)
        except subprocess.TimeoutExpired:
            return StepStatus.JAIL_KILLED, "The program closed its channel to the host."
        if self._killed:
            return StepStatus.JAIL_KILLED, f"The jail was ended: {self._killed}."
        if "time limit" in self._read_log():
            return StepStatus.LIMIT_TIME, "The jail's lifetime is over."
        if self._group.ran_out():
            return StepStatus.LIMIT_MEMORY, self._memory_used()
        if status > 128:
            name = signal.Signals(status - 128).name
            return StepStatus.JAIL_KILLED, f"The program crashed its interpreter ({name})."
        return StepStatus.JAIL_KILLED, f"The program ended its interpreter (exit status {status})."

    def _memory_used(self) -> str:
        return f"The program needed more than {_amount(self.limits.memory_bytes)} of memory."


_SURVIVED = frozenset(
    {StepStatus.COMPLETED, StepStatus.ERROR, StepStatus.FINAL, StepStatus.STOPPED}
)


@dataclass
class _Process:
    """The guest's process as the host sees it."""

    pid: int = 0
    handle: int = -1
    seen_cpu_s: float = 0.0

    @classmethod
    def child_of(cls, parent: int) -> "_Process":
        children = Path(f"/proc/{parent}/task/{parent}/children")
        try:
            pid = int(children.read_text().split()[0])
        except FileNotFoundError:  # A kernel without CONFIG_PROC_CHILDREN.
            pid = _find_child(parent)
        except IndexError as error:
            raise ChannelClosed("the guest ended") from error
        return cls(pid, os.pidfd_open(pid))

    def cpu_s(self) -> float:
        """Give the processor time used so far (the last seen, once the guest has ended)."""
        with contextlib.suppress(OSError):
            # Linux: the process clock of another process is ((~pid) << 3) | CPUCLOCK_SCHED.
            self.seen_cpu_s = time.clock_gettime((~self.pid << 3) | 2)
        return self.seen_cpu_s

    def kill(self) -> None:
        """Kill it; a handle names this process only, even when its id is used again."""
        if self.handle >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


def _find_child(parent: int) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[1] == str(parent):
                    return int(entry.name)
    raise ChannelClosed("the guest ended")


@dataclass
class _Step:
    """A step in progress: what it has used and printed."""

    request: StepRequest
    limits: JailLimits
    guest: _Process
    calls: int = 0
    exceeded: bool = False
    tools: frozenset[str] = frozenset()
    started: float = field(default_factory=monotonic)
    deadline: float = 0.0
    cpu_at_start: float = 0.0
    printed_bytes: int = 0
    pieces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tools = frozenset(stub.name for stub in self.request.stubs)
        self.deadline = self.started + self.limits.wall_s
        self.cpu_at_start = self.guest.cpu_s()

    @contextlib.contextmanager
    def paused(self) -> "Iterator[None]":
        """Leave out the time of the block: it is the host's."""
        began = monotonic()
        try:
            yield
        finally:
            pause = monotonic() - began
            self.started += pause
            self.deadline += pause

    def check_time(self) -> None:
        """Raise TimeoutError, with a sentence, when a clock has run out."""
        if monotonic() >= self.deadline:
            raise TimeoutError(f"The program ran for more than {self.limits.wall_s:g} s.")
        if self.guest.cpu_s() - self.cpu_at_start > self.limits.cpu_s:
            raise TimeoutError(
                f"The program used more than {self.limits.cpu_s} s of processor time."
            )

    def time_used(self) -> str:
        return f"The program did not go on within {self.limits.wall_s:g} s."

    def print(self, text: str) -> None:
        """Keep printed text up to the limit, cutting at a character."""
        if not text or self.exceeded:
            return
        data = text.encode()
        room = self.limits.output_bytes - self.printed_bytes
        self.printed_bytes += len(data)
        if len(data) > room:
            self.exceeded = True
            text = data[: max(room, 0)].decode("utf-8", "ignore")
        self.pieces.append(text)

    def done(self, message: protocol.Done) -> StepResult:
        error = message.error
        if error is None:
            return self.result(StepStatus.COMPLETED, value=message.value)
        if not message.memory:
            return self.result(StepStatus.ERROR, error=error)
        used = f"The program needed more than {_amount(self.limits.memory_bytes)} of memory."
        shown = GuestError("limit_memory", used, error.line, error.source_line, trace=error.trace)
        return self.result(StepStatus.LIMIT_MEMORY, error=shown)

    def limit(self, status: StepStatus, message: str) -> StepResult:
        return self.result(status, error=GuestError(status.value, message))

    def result(
        self,
        status: StepStatus,
        *,
        value: JSON = None,
        error: GuestError | None = None,
        final: JSON = None,
    ) -> StepResult:
        stdout = "".join(self.pieces)
        return StepResult(
            status=status,
            stdout=stdout,
            stdout_bytes=self.printed_bytes,
            stdout_sha256=stdout_digest(stdout),
            value=value,
            error=error,
            final=final,
            cpu_ms=max(round((self.guest.cpu_s() - self.cpu_at_start) * 1_000), 0),
            wall_ms=max(round((monotonic() - self.started) * 1_000), 0),
            calls=self.calls,
        )


def stdout_digest(stdout: str) -> str:
    """Give the hex SHA-256 of printed text with addresses masked, as replay compares it."""
    return hashlib.sha256(_ADDRESS.sub("at 0x…", stdout).encode()).hexdigest()


def _spec(config: SandboxConfig, runtime: Runtime, limits: JailLimits) -> nsjail.JailSpec:
    return nsjail.JailSpec(
        nsjail=config.nsjail,
        root=runtime.root,
        guest=runtime.guest,
        packages=runtime.packages,
        memory_bytes=limits.memory_bytes,
        disk_bytes=limits.disk_bytes,
        pids=limits.pids,
        lifetime_s=config.lifetime_s,
        outside_uid=config.outside_uid,
        outside_gid=config.outside_gid,
    )


def _frame(request: StepRequest) -> dict[str, JSON]:
    return {
        "step": request.index,
        "code": request.code,
        "time_us": request.time_us,
        "seed": request.seed,
        "stubs": [
            [stub.name, [[one.name, one.required, one.default] for one in stub.parameters]]
            for stub in request.stubs
        ],
        "state": dict(request.state),
        "modules": None if request.modules is None else list(request.modules),
    }


def _reply_frame(reply: Reply) -> dict[str, JSON]:
    match reply:
        case Value(value):
            return {"value": value}
        case Raise(kind, message):
            return {"raise": [kind, message]}
        case Deferred(token, schema):
            return {"deferred": [token, schema]}
        case _:
            return {"end": reply.reason}


def _amount(size: int) -> str:
    return f"{size / (1 << 20):g} MB" if size >= 1 << 20 else f"{size} bytes"


def _why_not(log: str, error: Exception) -> str:
    """Turn nsjail's last words into what an operator has to do."""
    if "clone" in log and ("not permitted" in log or "denied" in log.lower()):
        return (
            "This host refuses user namespaces, which jails are made of. Run"
            " deploy/allow-user-namespaces once as root, or see deploy/docs/sandbox.md."
        )
    last = log.strip().splitlines()[-3:]
    return "A jail could not be started: " + (" · ".join(last) or str(error) or "no answer in time")
