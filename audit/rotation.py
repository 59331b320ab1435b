"""Replace the log's signing key, in a way that a verifier can follow.

1. A new key is made; the old one stays beside it and both sign from now on.
2. Every tree gets the entry `key.rotated`, naming both as verifier keys.
3. When the auditors hold the new key, `retire_key` tells every tree that the old one ends,
   then ends it.
"""

from collections.abc import Mapping

from audit import checkpoints, notes, services, signing
from audit.errors import KeyUnavailable
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
    return _tell("key.rotated", actor, {"old": old, "new": new})


def retire_key(actor: Actor) -> int:
    """End the previous key and tell every tree; return how many there are.

    Raises:
        KeyUnavailable: No rotation is under way (nothing was changed).
    """
    current, *previous = (signer.public for signer in signing.signers())
    if not previous:
        raise KeyUnavailable("one key signs alone; there is none to retire")
    told = _tell("key.retired", actor, {"old": previous[0], "new": current})
    signing.retire_key()
    return told


def _tell(action: str, actor: Actor, keys: Mapping[str, bytes]) -> int:
    trees = [head.workspace_id for head in checkpoints.tree_heads(alias("sequencer"))]
    for workspace_id in trees:
        name = signing.origin(workspace_id)
        detail = {
            said: str(notes.VerifierKey(name, notes.LOG, public)) for said, public in keys.items()
        }
        draft = Draft(action, actor, Subject("tree", str(workspace_id)), detail=detail)
        with in_workspace(workspace_id):
            services.record(workspace_id, [draft])
    return len(trees)
