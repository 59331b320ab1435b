"""What files cost: into a jail, out of one, and the end of a step that leaves none."""

import statistics
import time
from dataclasses import replace

from agents.files.sniffing import sniff
from agents.sandbox import config
from agents.sandbox.contract import GivenFile, GuestCall, JailLimits, Reply, StepRequest, Value
from agents.sandbox.runtime import stdlib_runtime
from agents.sandbox.session import Jail
from tests.benchmarks.result import Result

MEGABYTES = 8
LIMITS = replace(JailLimits(), disk_bytes=64 << 20)
LEAVE = f"open('out/large', 'wb').write(bytes([{{}}]) * ({MEGABYTES} << 20))"


class _Nothing:
    def call(self, call: GuestCall) -> Reply:
        return Value(None)

    def needs_value(self, token: str, what: str) -> None:
        del token, what


def run() -> list[Result]:
    setup = config.default()
    content = bytes(MEGABYTES << 20)
    given = (GivenFile("large", content),)
    into, out = [], []
    for _ in range(5):
        with Jail(setup, stdlib_runtime(setup.home), LIMITS) as jail:
            into.append(_step(jail, 1, "0", given))
            out.append(_step(jail, 2, LEAVE.format(1)) - _step(jail, 3, "0"))
    text = b"vendor,cents\n" * 100_000
    began = time.perf_counter()
    for _ in range(100):
        sniff("x.csv", text)
    sniffed = (time.perf_counter() - began) * 10
    return [
        Result("files: into a jail", _rate(into), "MB/s", 50, "higher"),
        Result("files: out of a jail, hashed twice", _rate(out), "MB/s", 50, "higher"),
        Result("files: type of a table looked for", sniffed, "ms", 1, "lower"),
    ]


def _step(jail: Jail, index: int, code: str, files: tuple[GivenFile, ...] = ()) -> float:
    request = StepRequest(index, code, 0, "seed", files=files)
    began = time.perf_counter()
    result = jail.step(request, _Nothing())
    assert result.status == "completed", result.error
    return time.perf_counter() - began


def _rate(seconds: list[float]) -> float:
    return MEGABYTES / statistics.quantiles(seconds, n=4)[0]
