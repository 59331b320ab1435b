"""Limits of a run: what an agent version allows, and which limit the next spend would cross.

All limits are positive; there is no value that means "unlimited". They are checked before the spend
they bound: steps, tokens and cost before the paid model call, tool calls in the broker.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from agents.errors import LimitsInvalid


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        steps: turns of the loop.
        wall_s: seconds of work, time parked for people not counted.
        tokens: input and output tokens together.
        cost_micros: millionths of the endpoint's currency unit.
        calls: tool calls.
        step_wall_s: wall-clock seconds one program may run.
        step_cpu_s: CPU seconds one program may use.
        memory_mb: MiB of memory of the jail.
        disk_mb: MiB of the jail's working directory.
        output_kb: KiB one program may print.
        observation_chars: characters of one observation shown to the model.
    """

    steps: int = 20
    wall_s: int = 1800
    tokens: int = 400_000
    cost_micros: int = 5_000_000
    calls: int = 200
    step_wall_s: int = 60
    step_cpu_s: int = 30
    memory_mb: int = 512
    disk_mb: int = 64
    output_kb: int = 1024
    observation_chars: int = 20_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value <= 0:
                raise LimitsInvalid(f"limit {field.name} must be a positive whole number")

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Limits":
        """Read limits as stored with an agent version.

        Raises:
            LimitsInvalid: a name is unknown or a value not a positive whole number.
        """
        unknown = set(stored) - {field.name for field in fields(cls)}
        if unknown:
            raise LimitsInvalid(f"unknown limit: {', '.join(sorted(unknown))}")
        return cls(**stored)

    def to_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Spent:
    """What a run has used so far, in the units of `Limits`."""

    steps: int
    working_ms: int
    tokens: int
    cost_micros: int
    calls: int


def crossed(limits: Limits, spent: Spent) -> str | None:
    """The sentence that ends the run if one more step would cross a limit, else None."""
    rows = (
        (spent.steps, limits.steps, "step limit", "steps"),
        (spent.working_ms // 1000, limits.wall_s, "time limit", "seconds of work"),
        (spent.tokens, limits.tokens, "token limit", "tokens"),
        (spent.cost_micros, limits.cost_micros, "cost limit", "millionths of the currency unit"),
        (spent.calls, limits.calls, "call limit", "tool calls"),
    )
    for used, limit, name, unit in rows:
        if used >= limit:
            return f"The {name} of this run is reached: {used} of {limit} {unit}."
    return None
