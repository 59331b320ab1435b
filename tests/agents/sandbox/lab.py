"""Where tests get their jails: real ones, with a handler that remembers what it was asked."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from agents.sandbox import config
from agents.sandbox.config import SandboxConfig
from agents.sandbox.contract import (
    Deferred,
    GivenFile,
    GuestCall,
    JailLimits,
    Parameter,
    Reply,
    StepRequest,
    StepResult,
    Stub,
    Value,
)
from agents.sandbox.runtime import Runtime, stdlib_runtime
from agents.sandbox.session import Jail

NOON = 1_795_348_800_000_000  # 2026-11-22 12:00:00 UTC in microseconds
TIGHT = JailLimits(
    wall_s=1.0,
    cpu_s=5,
    memory_bytes=128 << 20,
    output_bytes=64 << 10,
    disk_bytes=1 << 20,
    pids=8,
    frame_bytes=1 << 18,
)
PAY = Stub("pay", (Parameter("to"), Parameter("amount", False, 1)))
LOOK = Stub("look", (Parameter("what"),))
PAYMENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "note": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
        "amount": {"type": "integer"},
    },
    "required": ["id", "lines", "amount"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"n": {}}, "required": ["n"]}},
}


@functools.cache
def host() -> tuple[SandboxConfig, Runtime]:
    """Give the configuration and the runtime of this machine."""
    setup = config.default()
    return setup, stdlib_runtime(setup.home)


def echo(call: GuestCall) -> Reply:
    """Answer with what was passed."""
    return Value(call.arguments)


def deferred(call: GuestCall) -> Reply:
    """Answer ``pay`` with a placeholder and everything else with its arguments."""
    return Deferred(f"token{call.seq}", PAYMENT) if call.tool == "pay" else Value(call.arguments)


class Lab:
    """A jail, its handler and the steps so far."""

    def __init__(
        self, limits: JailLimits = TIGHT, answer: Callable[[GuestCall], Reply] = echo
    ) -> None:
        self.answer = answer
        self.calls: list[GuestCall] = []
        self.needed: list[tuple[str, str]] = []
        self.jail = Jail(*host(), limits)
        self.steps = 0

    def call(self, call: GuestCall) -> Reply:
        self.calls.append(call)
        return self.answer(call)

    def needs_value(self, token: str, what: str) -> None:
        self.needed.append((token, what))

    def step(
        self,
        code: str,
        *,
        stubs: tuple[Stub, ...] = (PAY, LOOK),
        state: Mapping[str, Any] | None = None,
        modules: tuple[str, ...] | None = None,
        time_us: int = NOON,
        seed: str = "seed",
        files: tuple[GivenFile, ...] = (),
    ) -> StepResult:
        self.steps += 1
        request = StepRequest(self.steps, code, time_us, seed, stubs, state or {}, modules, files)
        return self.jail.step(request, self)

    def value(self, code: str, **options: Any) -> Any:
        """Run a program that must succeed; give its last value."""
        result = self.step(code, **options)
        assert result.status == "completed", (result.error, result.stdout)
        return result.value

    def error(self, code: str, **options: Any) -> Any:
        """Run a program that must fail; give its error."""
        result = self.step(code, **options)
        assert result.error is not None, result
        return result.error

    def close(self) -> None:
        self.jail.close()
