"""What stands between two model calls on our side: prompt, parsing, a tool's overhead."""

import statistics
import time
from collections.abc import Callable

from agents.conversation.messages import Briefing, StepRecord, Task, messages
from agents.conversation.parsing import parse_code
from agents.llm.chat import Message
from agents.tools.context import ToolContext
from agents.tools.invoke import invoke
from tests.agents.tools import samples
from tests.benchmarks.result import Result

STEPS = 20
CODE = "\n".join(f"value_{n} = sum(row['amount'] for row in rows[{n}:])" for n in range(30))
REPLY = f"I add up the rows and print the total.\n<code>\n{CODE}\nprint(value_29)\n</code>"
BRIEFING = Briefing("Bench", "Add up.", ("def rows() -> list[dict]: ...",) * 8, ("math",), STEPS)
CONTEXT = ToolContext("w", "r", 1, "k")


def run() -> list[Result]:
    """Each measure is the median of repeated runs."""
    steps = [StepRecord(n, REPLY, CODE, "Printed:\n" + "row\n" * 200) for n in range(1, STEPS + 1)]
    once = build(steps)
    said = "".join(message.content for message in once)
    assert said.count(CODE) == STEPS
    return [
        Result("prompt_build_20_steps", _median(lambda: build(steps)), "ms", 5.0, "lower"),
        Result("prompt_tokens_without_tools", _tokens(), "tokens", 3000.0, "lower"),
        Result("reply_parse", _median(lambda: parse_code(REPLY)), "ms", 2.0, "lower"),
        Result("tool_invoke_overhead", _median(_call), "ms", 1.0, "lower"),
    ]


def build(steps: list[StepRecord]) -> tuple[Message, ...]:
    task = Task("Add up the rows.", {"week": "2026-W47"})
    return messages(BRIEFING, task, steps, budget_tokens=120_000).messages


def _tokens() -> float:
    bare = Briefing("Bench", "", (), ("math",), STEPS)
    return float(messages(bare, Task("Add up.", {}), [], budget_tokens=120_000).tokens)


def _call() -> None:
    invoke(samples.echo, {"what": "hello"}, CONTEXT)


def _median(act: Callable[[], object], times: int = 51) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)
