"""Replace the log's signing key, in a way that a verifier can follow.

1. A new key is made; the old one stays beside it and both sign from now on.
2. Every tree gets the entry `key.rotated`, naming both as verifier keys.
3. When the auditors hold the new key, `signing.retire_key` ends the old one.
"""

from audit import checkpoints, notes, services, signing
from audit.services import Actor, Draft, Subject
from audit.transactions import alias, in_workspace


def rotate_key(actor: Actor) -> int:
    """Replace the signing key and tell every tree; return how many there are.

    Raises:
        KeyUnavailable: The key is not a file, or the last rotation is not finished.
    """
    old = signing.current_signer().public
    signing.replace_key()
    new = signing.current_signer().public
    trees = [head.workspace_id for head in checkpoints.tree_heads(alias("sequencer"))]
    for workspace_id in trees:
        name = signing.origin(workspace_id)
        detail = {
            "old": str(notes.VerifierKey(name, notes.LOG, old)),
            "new": str(notes.VerifierKey(name, notes.LOG, new)),
        }
        draft = Draft("key.rotated", actor, Subject("tree", str(workspace_id)), detail=detail)
        with in_workspace(workspace_id):
            services.record(workspace_id, [draft])
    return len(trees)
