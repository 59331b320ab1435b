"""How an entry is proved, in stages a lay person can follow; each is checked when it is shown.

What this server says of itself convinces nobody outside. The page says so, and gives the file and
the command with which anybody checks the same on a machine of their own.
"""

from dataclasses import dataclass
from uuid import UUID

from audit import notes, selectors, signing
from audit.errors import AuditError
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Entry
from audit.selectors import Held, Inclusion
from countersign.console import proof_drawing
from countersign.console.proof_drawing import Drawing


@dataclass(frozen=True)
class EntryProof:
    """What is known of an entry's proof at this moment.

    Attributes:
        position: None while the sequencer has not placed the entry.
        inclusion: None while no checkpoint covers it.
        unchanged: the stored bytes still have the hash that was placed.
        leads: the way from the entry ends in the checkpoint's root.
        key: the log's verifier key that signed the checkpoint; "" if none known here did.
        held: for each anchor, since when it holds the entry.
    """

    position: int | None
    inclusion: Inclusion | None
    unchanged: bool
    leads: bool
    key: str
    held: tuple[Held, ...]
    drawing: Drawing | None
    working: bool

    @property
    def is_held(self) -> bool:
        """Whether somebody else has seen the root; a folder is only as safe as its mount."""
        return any(each.receipt and each.state.kind != "file" for each in self.held)

    @property
    def is_copied(self) -> bool:
        return any(each.receipt for each in self.held)


def of_entry(workspace_id: UUID, entry: Entry) -> EntryProof:
    """Fetch and check the proof of one entry."""
    position = selectors.position(workspace_id, entry)
    found = selectors.inclusion(workspace_id, entry.id)
    steps = found.steps() if found else []
    root = bytes(found.checkpoint.root) if found else b""
    return EntryProof(
        position=position,
        inclusion=found,
        unchanged=leaf_hash(bytes(entry.leaf)) == bytes(entry.leaf_hash),
        leads=bool(found) and (steps[-1].result if steps else bytes(entry.leaf_hash)) == root,
        key=signing_key(workspace_id, found.checkpoint) if found else "",
        held=tuple(selectors.held(workspace_id, position)) if position is not None else (),
        drawing=proof_drawing.draw(steps),
        working=position is not None or selectors.sequencing(),
    )


def signing_key(workspace_id: UUID, checkpoint: Checkpoint) -> str:
    """The key of this log that signed a checkpoint, as auditors write it; "" if none did."""
    try:
        note = notes.parse(checkpoint.note)
        keys = signing.verifier_keys(workspace_id)
    except AuditError:
        return ""
    agrees = note.head.size == checkpoint.size and note.head.root == bytes(checkpoint.root)
    return next((str(key) for key in keys if agrees and notes.signed_by(note, key)), "")
