"""What a jail costs: to start, to take from the pool, a step, a call, a replay, its memory.

Times are lower quartiles: what a jail costs, not what the machine's other work costs.
"""

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from agents.sandbox import check, config
from agents.sandbox.config import SandboxConfig
from agents.sandbox.contract import (
    GuestCall,
    JailLimits,
    Parameter,
    Reply,
    StepRequest,
    Stub,
    Value,
)
from agents.sandbox.nsjail import ENVIRONMENT
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import Runtime, stdlib_runtime
from agents.sandbox.session import Jail
from tests.benchmarks.result import Result

LIMITS = JailLimits()
LOOK = (Stub("look", (Parameter("what"),)),)
COMPUTE = """
import time
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
fib(27)
sum(i * i % 7 for i in range(1_500_000))
"""


class _Echo:
    def call(self, call: GuestCall) -> Reply:
        return Value(call.arguments["what"])

    def needs_value(self, token: str, what: str) -> None:
        del token, what


def run() -> list[Result]:
    setup = config.default()
    runtime = stdlib_runtime(setup.home)
    return [
        *_starts(setup, runtime),
        *_steps(setup, runtime),
        *_replays(setup, runtime),
        _ratio(setup, runtime),
        _idle_memory(setup, runtime),
    ]


def _quiet(values: list[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1_000


def _environment(runtime: Runtime) -> dict[str, str]:
    """Give the jail's environment for the same interpreter outside."""
    pairs = (one.partition("=") for one in ENVIRONMENT)
    return {name: value.replace("/py", f"{runtime.root}/py") for name, _, value in pairs}


def _plain_start(runtime: Runtime) -> float:
    """Start the same interpreter outside, until its first line has run."""
    answer, answered = os.pipe()
    python = str(runtime.root / "py" / "bin" / "python3")
    code = f"import posix; posix.write({answered}, b'x')"
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, "-s", "-S", "-P", "-c", code], env=_environment(runtime), pass_fds=(answered,)
    )
    os.read(answer, 1)
    taken = (time.perf_counter() - began) * 1_000
    process.wait()
    os.close(answer)
    os.close(answered)
    return taken


def _starts(setup: SandboxConfig, runtime: Runtime) -> list[Result]:
    plain, jailed, hits = [], [], []
    for _ in range(30):  # Taken in turns, so that a busy machine slows both.
        plain.append(_plain_start(runtime))
        began = time.perf_counter()
        jail = Jail(setup, runtime, LIMITS)
        jailed.append((time.perf_counter() - began) * 1_000)
        jail.close()
    pool = Pool(setup, size=2)
    for _ in range(10):
        pool.warm(runtime, LIMITS)
        began = time.perf_counter()
        jail = pool.acquire(runtime, LIMITS)
        hits.append((time.perf_counter() - began) * 1_000)
        jail.close()
    pool.close()
    cold = _quiet(jailed) - _quiet(plain)
    return [
        Result("jail: cold start beyond plain Python", cold, "ms", 12.0, "lower"),
        Result("jail: start from the pool", _quiet(hits), "ms", 3.0, "lower"),
    ]


def _request(index: int, code: str) -> StepRequest:
    return StepRequest(index, code, 1_795_348_800_000_000, "bench", LOOK)


def _steps(setup: SandboxConfig, runtime: Runtime) -> list[Result]:
    with Jail(setup, runtime, LIMITS) as jail:
        for index in range(100):
            jail.step(_request(index, "x = 1"), _Echo())
        steps = [
            _timed(lambda: jail.step(_request(1, "x = 1"), _Echo())) * 1_000 for _ in range(500)
        ]
        many = _request(1, "for i in range(500): look(i)")
        calls = [_timed(lambda: jail.step(many, _Echo())) * 1_000 / 500 for _ in range(10)]
    return [
        Result("jail: one step", _quiet(steps), "µs", 200.0, "lower"),
        Result("jail: one tool call", _quiet(calls), "µs", 200.0, "lower"),
    ]


def _replays(setup: SandboxConfig, runtime: Runtime) -> list[Result]:
    """Run steps of two calls each again, as a resumed run does, in a pooled jail."""
    results = []
    pool = Pool(setup, size=1)
    for count in (20, 200):
        taken = []
        for _ in range(7):
            pool.warm(runtime, LIMITS)
            began = time.perf_counter()
            with pool.acquire(runtime, LIMITS) as jail:
                for index in range(count):
                    code = f"a{index} = look({index})\nb = look('x' * 100)\nprint(a{index}, b)"
                    jail.step(_request(index, code), _Echo())
                taken.append((time.perf_counter() - began) * 1_000)
        name = f"jail: replay of {count} steps with two calls each"
        results.append(Result(name, _quiet(taken), "ms", None, "lower"))
    pool.close()
    return results


def _ratio(setup: SandboxConfig, runtime: Runtime) -> Result:
    """Compare processor time for the same work, which a busy machine distorts least."""
    python = str(runtime.root / "py" / "bin" / "python3")
    code = f"{COMPUTE}\nprint(time.process_time())"
    outside, inside = [], []
    for _ in range(7):
        plain = subprocess.run(
            [python, "-s", "-S", "-P", "-c", code],
            env=_environment(runtime),
            capture_output=True,
            text=True,
            check=True,
        )
        outside.append(float(plain.stdout))
        with Jail(setup, runtime, LIMITS) as jail:
            inside.append(check.run(jail, COMPUTE).cpu_ms / 1_000)
    return Result(
        "jail: computing, against plain CPython", min(inside) / min(outside), "ratio", 1.05, "lower"
    )


def _idle_memory(setup: SandboxConfig, runtime: Runtime) -> Result:
    """Proportional set size of nsjail and its guest, waiting for their first step."""
    with Jail(setup, runtime, LIMITS) as jail:
        total = sum(_pss_kib(pid) for pid in (jail.guest_pid, jail._nsjail.pid))
    return Result("jail: memory while idle in the pool", total / 1_024, "MB", None, "lower")


def _pss_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0])
