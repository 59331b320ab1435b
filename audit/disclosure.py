"""Show a payload to a person: never without an entry that says who saw what.

The entry commits in the same transaction in which the payload is opened; if it cannot be
written, nothing is shown.
"""

import json
from uuid import UUID

from audit import payloads
from audit.errors import PayloadGone
from audit.models import Entry, Payload
from audit.payloads import Opened
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace


def disclose(workspace_id: UUID, entry_id: UUID, name: str, *, actor: Actor) -> Opened:
    """Return a payload in the clear and leave the entry `payload.viewed`.

    Raises:
        PayloadGone: There is none: erased, expired, or never there.
        PayloadDamaged: It is not what its entry commits to (somebody must look).
        KeyUnavailable: The wrapping key is out of reach (an operator's matter).
    """
    with in_workspace(workspace_id):
        entry = Entry.objects.filter(workspace_id=workspace_id, id=entry_id).first()
        stored = Payload.objects.filter(entry_id=entry_id, name=name).first()
        if entry is None or stored is None:
            raise PayloadGone(f"there is no payload {name}")
        commitment = json.loads(bytes(entry.leaf))["payloads"][name]
        opened = payloads.open_payload(stored, commitment)
        draft = Draft(
            "payload.viewed", actor, Subject("entry", str(entry_id)), detail={"name": name}
        )
        record(workspace_id, [draft])
    return opened


def refuse(workspace_id: UUID, action: str, subject: Subject, *, actor: Actor) -> None:
    """Leave the entry that somebody was refused what only auditors may do.

    Args:
        action: Such as `payload.refused` or `export.refused`.
    """
    with in_workspace(workspace_id):
        record(workspace_id, [Draft(action, actor, subject, detail={"reason": "role"})])
