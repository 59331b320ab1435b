"""The log, to read."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from audit import selectors as audit
from audit.models import Entry
from countersign.accounts.scopes import Scope
from countersign.api import cursors
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import not_found
from countersign.api.schemas import audit as out

router = Router(tags=["audit"])


@router.get(
    "/entries",
    auth=Bearer(Scope.AUDIT_READ),
    response=says(out.EntryPage),
    summary="Entries, newest first",
)
def entry_list(request: HttpRequest, filters: Query[out.EntryFilters]) -> Mapping[str, Any]:
    found = audit.entries(
        caller(request).workspace_id,
        audit.Filters(
            actions=tuple(filters.action),
            actors=(filters.actor,) if filters.actor else (),
            subject=filters.subject,
            run=filters.run,
        ),
        cursor=cursors.unseal("entries", filters.cursor),
        limit=filters.limit,
    )
    return page([_entry(entry) for entry in found.entries], cursors.seal("entries", found.cursor))


@router.get(
    "/entries/{uuid:entry_id}",
    auth=Bearer(Scope.AUDIT_READ),
    response=says(out.EntryOut, 404),
    summary="One entry",
)
def entry_get(request: HttpRequest, entry_id: UUID) -> Mapping[str, Any]:
    found = audit.entry(caller(request).workspace_id, entry_id)
    if found is None:
        raise not_found()
    return _entry(found)


def _entry(entry: Entry) -> Mapping[str, Any]:
    fields = {name: getattr(entry, name) for name in out.EntryOut.model_fields}
    return fields | {
        "leaf": bytes(entry.leaf).decode(),
        "leaf_hash": bytes(entry.leaf_hash).hex(),
    }
