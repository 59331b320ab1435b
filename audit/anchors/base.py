"""What an anchor is: it takes a checkpoint and gives something to keep.

Three kinds ship: `file` (a directory, write-once where the file system can), `witness`
(C2SP tlog-witness over HTTP) and `rfc3161` (a time-stamping authority).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.notes import Note


@dataclass(frozen=True)
class Submission:
    """One checkpoint on its way to one anchor."""

    note: Note
    seen: int
    """Size of the last checkpoint this anchor took, as far as we know; 0 for none."""
    consistency: Callable[[int], Sequence[bytes]]
    """old size → RFC 9162 consistency path from it to the checkpoint's size."""


class Anchor(Protocol):
    """Keeps checkpoints where the operator cannot take them back."""

    name: str
    kind: str
    where: str
    """Where checkpoints go, as the log may say it: an address without credentials, a path."""
    every_s: float
    """Seconds to leave between two submissions of one tree."""

    def submit(self, submission: Submission) -> bytes:
        """Hand the checkpoint over and return the receipt, to be kept in the log.

        Raises:
            AnchorUnavailable: No answer, or not now; tried again later.
            AnchorRefused: It contradicts the checkpoint, or our configuration is wrong.
        """
