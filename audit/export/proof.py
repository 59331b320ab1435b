"""The proof of one entry, as a file that verifies alone.

Format: deploy/docs/log-format.md §11; `countersign_verify.py` takes it in place of a bundle. It
shows that the entry is in the signed log, and since when others hold that log. It says nothing of
other entries: completeness is what a bundle is for.
"""

import base64
from uuid import UUID

from audit import notes, selectors
from audit.canonical import JSON
from audit.models import Checkpoint, Receipt
from audit.transactions import in_workspace
from audit.verifier.countersign_verify import ENTRY_PROOF


def entry_proof(workspace_id: UUID, entry_id: UUID) -> dict[str, JSON] | None:
    """Return the proof; None where there is no such entry, or no checkpoint over it yet."""
    with in_workspace(workspace_id):
        entry = selectors.entry(workspace_id, entry_id)
        found = selectors.inclusion(workspace_id, entry_id)
        if entry is None or found is None:
            return None
        return {
            "format": ENTRY_PROOF,
            "leaf": bytes(entry.leaf).decode(),
            "position": found.position,
            "path": [node.hex() for node in found.path],
            "checkpoint": str(signed_note(found.checkpoint)),
            "timestamps": [
                base64.b64encode(bytes(receipt.body)).decode()
                for receipt in Receipt.objects.filter(checkpoint=found.checkpoint, kind="rfc3161")
            ],
        }


def signed_note(checkpoint: Checkpoint) -> notes.Note:
    """Return the checkpoint with the cosignatures that witnesses gave for it."""
    note = notes.parse(checkpoint.note)
    with in_workspace(checkpoint.workspace_id):
        rows = Receipt.objects.filter(checkpoint=checkpoint, kind="witness").order_by("anchor")
        for row in rows:
            note = note.with_signatures(notes.parse_signatures(bytes(row.body).decode()))
    return note
