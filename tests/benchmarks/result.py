"""One measured number with its goal, and the file that keeps the latest of each."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).resolve().parents[2] / ".bench" / "results.json"


@dataclass(frozen=True)
class Result:
    """One measurement.

    Attributes:
        goal: None where we only watch the number.
        better: Which side of the goal is the good one; the goal itself is met.
    """

    name: str
    value: float
    unit: str
    goal: float | None
    better: Literal["lower", "higher"]

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal


MEASURED: list[Result] = []
"""What the soak harnesses of this process have measured (fixture ``measured``)."""


def save(results: Iterable[Result], file: Path = RESULTS) -> None:
    """Add ``results`` to the file; earlier ones of the same name are replaced."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    for result in results:
        kept[result.name] = {
            "value": result.value,
            "unit": result.unit,
            "goal": result.goal,
            "met": result.met,
        }
    file.parent.mkdir(exist_ok=True)
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    aside.rename(file)


def table(results: Sequence[Result]) -> str:
    """Return the results as aligned text."""
    words = {True: "met", False: "MISSED", None: ""}
    rows = [("measurement", "value", "unit", "goal", "")]
    rows += [
        (r.name, number(r.value), r.unit, _goal(r), words[r.met])
        for r in results
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    # Words to the left, numbers to the right.
    sides = ("<", ">", "<", ">", "<")
    columns = list(zip(sides, widths, strict=True))
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, (side, width) in zip(row, columns, strict=True))
        for row in rows
    )


def number(value: float) -> str:
    """Return a number with three significant digits, or all of a large one's whole part."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _goal(result: Result) -> str:
    if result.goal is None:
        return ""
    return f"{'≤' if result.better == 'lower' else '≥'} {number(result.goal)}"
