"""Who looked at what a rule masks (`@mask("iban")`)."""

from collections.abc import Iterable
from uuid import UUID

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace


def mask_opened(
    *, workspace_id: UUID, actor: Actor, subject: Subject, arguments: Iterable[str]
) -> None:
    """Record that somebody is shown these arguments of a request or of a call.

    Called before they are shown, in the same transaction: no entry, no look.
    """
    detail: dict[str, JSON] = {"arguments": sorted(arguments)}
    with in_workspace(workspace_id):
        record(workspace_id, [Draft("mask.opened", actor, subject, detail=detail)])
