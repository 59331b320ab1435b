"""Programs of the evasion and the benign suite, kept as text files beside this module.

A file holds programs separated by `=== name` lines. They are judged with the tools of
`tools.json`, or of `office.json`, `orders.json` and `clinic.json` where the name of the file ends
so, and under the starter policies; a program may add imports with a first line
`# imports: numpy, pandas`.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from policies.engine import Outcome, PolicySet, compile_policy
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.facts.record import ToolSpec
from policies.requests import RunContext
from policies.starter import starter_text
from policies.verdict import Verdict, judge

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """One program of a suite."""

    suite: str
    name: str
    code: str
    imports: frozenset[str] = frozenset()


def load(kind: str) -> list[Program]:
    """All programs of the files whose names begin with `kind`."""
    return [program for path in sorted(HERE.glob(f"{kind}*.txt")) for program in _programs(path)]


def _programs(path: Path) -> list[Program]:
    found: list[Program] = []
    for block in ("\n" + path.read_text(encoding="utf-8")).split("\n=== ")[1:]:
        name, _, code = block.partition("\n")
        first = code.partition("\n")[0]
        extra = first.removeprefix("# imports:") if first.startswith("# imports:") else ""
        imports = frozenset(part.strip() for part in extra.split(",") if part.strip())
        found.append(Program(path.stem, name.strip(), code, imports))
    return found


@lru_cache
def tools(kind: str = "tools") -> tuple[ToolSpec, ...]:
    items = json.loads((HERE / f"{kind}.json").read_text(encoding="utf-8"))
    return tuple(
        ToolSpec(**{**item, "labels": frozenset(item["labels"]), "version": ""}) for item in items
    )


@lru_cache
def starter(kind: str = "tools") -> PolicySet:
    return compile_policy(starter_text(), tools=tools(kind))


@lru_cache
def exact(kind: str = "tools") -> PolicySet:
    """The starter policies without the rule that takes the analysis for rough in rarer code."""
    rules = starter_text().split("@id(")
    kept = [rule for rule in rules if not rule.startswith('"look-at-rough-code')]
    assert len(kept) == len(rules) - 1
    return compile_policy("@id(".join(kept), tools=tools(kind))


def kind_of(program: Program) -> str:
    """Which tools a program is judged with."""
    ending = program.suite.rpartition("_")[2]
    return ending if ending in ("office", "orders", "clinic") else "tools"


def verdict(program: Program, policies: Callable[[str], PolicySet] = starter) -> Verdict:
    kind = kind_of(program)
    specs, allowed = tools(kind), DEFAULT_IMPORTS | program.imports
    facts = extract(program.code, tools=specs, allowed_imports=allowed)
    return judge(RunContext(), facts, specs, policies(kind))


def report(programs: list[Program]) -> Counter[Outcome]:
    """How many programs are allowed, reviewed and denied."""
    return Counter(verdict(program).decision.outcome for program in programs)
