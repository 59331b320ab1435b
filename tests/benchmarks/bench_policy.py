"""What a decision costs: facts, Cedar, activation, simulation, and bandit on the same files.

Programs are put together from the benign suite, so they are what agents write. Times are
medians of the CPU time of this thread: the machine is shared, the code is not.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policies.difference import difference
from policies.engine import PolicySet, _compiled, compile_policy, decide
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.requests import RunContext, execute
from policies.simulation import Past, Simulator
from policies.starter import starter_text
from tests.benchmarks.result import Result
from tests.policies.suites import load, tools

RULES = 50
CONTEXT = RunContext("w", "ap", "v1", "alice", now=datetime(2026, 11, 20, tzinfo=UTC))
IMPORTS = DEFAULT_IMPORTS | {"numpy", "pandas"}


def run() -> list[Result]:
    """Measures everything; about half a minute."""
    policies = compile_policy(_rules(RULES), tools=tools())
    results: list[Result] = []
    for lines, goal in ((10, None), (40, 3.0), (200, None)):
        code = _program(lines)
        results += [
            Result(f"policy: facts, {lines} lines", _facts(code), "ms", None, "lower"),
            Result(
                f"policy: facts + decision, {lines} lines, {RULES} rules",
                _both(code, policies),
                "ms",
                goal,
                "lower",
            ),
        ]
    results += [_record(), _activation(), *_simulation(policies), _difference(), _bandit()]
    return results


def _rules(count: int) -> str:
    text = starter_text()
    for index in range(count - text.count("@id(")):
        text += (
            f'@id("host-{index}") forbid(principal, action in Action::"call", resource) when '
            f'{{ context.call.hosts.contains("h{index}.example") && resource.tier == 1 }};\n'
        )
    return text


def _program(lines: int) -> str:
    """Whole programs of the benign suite, one after another, up to `lines` lines."""
    chosen: list[str] = []
    for program in load("benign_tools") + load("benign_analysis"):
        body = [line for line in program.code.splitlines() if line and "# imports" not in line]
        if len(chosen) + len(body) <= lines:
            chosen += body
    return "\n".join(chosen)


def _median(work: Callable[[], object], *, rounds: int = 200) -> float:
    """Milliseconds of CPU time."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.thread_time()
        work()
        times.append(time.thread_time() - begin)
    return statistics.median(times) * 1000


def _facts(code: str) -> float:
    return _median(lambda: extract(code, tools=tools(), allowed_imports=IMPORTS))


def _both(code: str, policies: PolicySet) -> float:
    def work() -> None:
        decide(execute(CONTEXT, extract(code, tools=tools(), allowed_imports=IMPORTS)), policies)

    return _median(work)


def _record() -> Result:
    code = _program(40)

    def work() -> None:
        _ = extract(code, tools=tools(), allowed_imports=IMPORTS).digest

    return Result("policy: facts as a hashed record, 40 lines", _median(work), "ms", None, "lower")


def _activation() -> Result:
    def work() -> None:
        _compiled.cache_clear()
        compile_policy(_rules(RULES), tools=tools())

    name = f"policy: activation, {RULES} rules, {len(tools())} tools"
    return Result(name, _median(work, rounds=10), "ms", None, "lower")


def _difference() -> Result:
    """Until requests are found that show what another version decides otherwise."""
    old, new = starter_text(), _rules(RULES)

    def work() -> None:
        difference(old, new, tools=tools())

    name = "policy: difference of two versions, by requests"
    return Result(name, _median(work, rounds=3), "ms", None, "lower")


def _simulation(policies: PolicySet) -> list[Result]:
    """Past decisions as they are stored: the same agents' programs at many times and steps."""
    facts = [extract(p.code, tools=tools(), allowed_imports=IMPORTS) for p in load("benign")[:200]]
    contexts = [
        replace(CONTEXT, step=day % 9, now=CONTEXT.now - timedelta(hours=day)) for day in range(50)
    ]
    asked = [execute(context, one) for context in contexts for one in facts]
    stored = [
        Past(place, "execute", "allow", (), json.loads(json.dumps(asdict(request))))
        for place, request in enumerate(asked)
    ]
    return [
        Result(
            "policy: simulation of 10,000 past decisions",
            _replayed(stored, policies),
            "1/s",
            5000,
            "higher",
        ),
        Result(
            "policy: simulation, no two decisions alike",
            _replayed(stored[: len(facts)], policies),
            "1/s",
            None,
            "higher",
        ),
    ]


def _replayed(stored: list[Past], policies: PolicySet) -> float:
    """Decisions a second, with the stored request taken from its JSON."""
    begin = time.thread_time()
    count = sum(one.now is not None for one in Simulator(policies).replay(stored))
    return count / (time.thread_time() - begin)


def _bandit() -> Result:
    """One run of bandit over the programs that we take one by one."""
    with tempfile.TemporaryDirectory() as folder:
        programs = load("benign")[:100]
        for index, program in enumerate(programs):
            (Path(folder) / f"p{index}.py").write_text(program.code, encoding="utf-8")
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bandit", "-q", "-r", folder, "-f", "json"],
            capture_output=True,
            check=False,
        )
        each = (time.perf_counter() - begin) / len(programs) * 1000
    return Result("policy: bandit, one program of 100 (for comparison)", each, "ms", None, "lower")
