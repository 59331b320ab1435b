"""A worker that dies at one of its commits, by an exception that nothing catches.

Quick enough for hundreds of runs; what a real kill does is for `tests/soak`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from agents import journal
from agents.worker import leases


class Died(BaseException):
    """The worker is gone; nothing of it runs any more."""


@dataclass
class Death:
    """Where the present worker dies: before or after its commit of that number; 0 is never."""

    at: int = 0
    after: bool = False
    seen: int = 0

    def met(self) -> bool:
        self.seen += 1
        return self.seen == self.at


@contextmanager
def dying(death: Death, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every transaction of a lease's holder passes its death on the way out."""

    def deadly(original: Any) -> Any:
        @contextmanager
        def commit(*args: Any) -> Iterator[Any]:
            met = death.met()
            with original(*args) as found:
                yield found
                if met and not death.after:
                    raise Died
            if met:
                raise Died

        return commit

    with monkeypatch.context() as patch:
        patch.setattr(journal, "held", deadly(leases.held))
        patch.setattr(journal, "recording", deadly(leases.recording))
        yield
