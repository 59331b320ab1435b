"""Errors of the agents room, by what the caller can do.

AgentsError
├── NotFound            the thing is not in this workspace; a door answers 404
├── Refused             the request is against a rule; the sentence says which and what to do
│   ├── LimitsInvalid   a limit is not a positive whole number
│   ├── InputsInvalid   a run's inputs do not match the agent's schema
│   └── ToolChanged     the code of a registered tool is not what was registered
├── LeaseLost           another worker or a stop took the run; drop everything, write nothing
├── BudgetCrossed       an effect would cross a budget of the day; the agent is told
├── SwitchedOff         a kill switch holds the run or a tool of it; park it
└── ReplayDiverged      the stored program no longer does what the journal says; carries both sides
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.models import KillSwitch


class AgentsError(Exception):
    """Base of every error this room raises on purpose."""


class NotFound(AgentsError):
    """The thing does not exist in this workspace."""


class Refused(AgentsError):
    """The request is against a rule; the message is a sentence for the person who asked."""


class LimitsInvalid(Refused):
    """A limit is unknown or not a positive whole number."""


class InputsInvalid(Refused):
    """A run's inputs do not match what the agent version declares."""


class ToolChanged(Refused):
    """The code behind a registered tool version is gone, or another than was registered."""


class LeaseLost(AgentsError):
    """The run belongs to another worker, or was stopped: this worker may write nothing more."""


class BudgetCrossed(AgentsError):
    """An effect would cross a budget; the message is a sentence for the agent and for people."""


class SwitchedOff(AgentsError):
    """A kill switch stands in the way; the run waits until it is lifted."""

    def __init__(self, switch: "KillSwitch") -> None:
        super().__init__(switch.sentence)
        self.switch = switch


@dataclass(frozen=True)
class Divergence:
    """Where a replay left the journal: the recorded side and what happened now."""

    step: int
    call: int | None
    what: str
    recorded: str
    replayed: str


class ReplayDiverged(AgentsError):
    """Running the stored program again did something else than the journal says."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(
            f"step {divergence.step}: {divergence.what} was {divergence.recorded!r}, "
            f"is {divergence.replayed!r}"
        )
        self.divergence = divergence
