"""What a file would change, shown before anybody is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.registry.plan import plan
from agents.registry.proposal import shown
from audit.transactions import in_workspace


@dataclass(frozen=True)
class Look:
    """`changes` as the card shows them; `unchanged` as lines for people."""

    changes: tuple[dict[str, Any], ...]
    unchanged: tuple[str, ...]


def look(workspace_id: UUID, text: str, documents: Mapping[str, str] | None = None) -> Look:
    """What registering `text` would change now; nothing is stored.

    Args:
        documents: text of the OpenAPI documents that it names, by file name.

    Raises:
        Refused: the file is not right; names every fault with its line.
    """
    with in_workspace(workspace_id):
        planned = plan(text, documents)
        return Look(tuple(shown(planned)), tuple(planned.unchanged))
