"""Reading the log in tests."""

from typing import Any
from uuid import UUID

from audit import canonical
from audit.models import Entry
from audit.transactions import in_workspace


def actions(workspace_id: UUID | None) -> list[str]:
    """The actions in one workspace's log (None: the platform's), oldest first."""
    with in_workspace(workspace_id):
        return list(Entry.objects.order_by("number").values_list("action", flat=True))


def last(workspace_id: UUID | None, action: str) -> dict[str, Any]:
    """The newest leaf with this action."""
    with in_workspace(workspace_id):
        entry = Entry.objects.filter(action=action).order_by("-number").first()
    assert entry is not None, f"no entry {action}"
    leaf = canonical.decode(bytes(entry.leaf))
    assert isinstance(leaf, dict)
    return leaf
