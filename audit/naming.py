"""Workspaces as people name them on a command line: by slug, by id, or `platform`."""

from uuid import UUID

from django.apps import apps

from audit.errors import UnknownWorkspace
from audit.transactions import PLATFORM

PLATFORM_NAME = "platform"


def workspace_named(text: str) -> UUID:
    """Return the id of a workspace named by its slug or its id.

    An id is taken as it is: the log outlives the workspace.

    Raises:
        UnknownWorkspace: No slug of a workspace, and no id; the message names those there are.
    """
    if text == PLATFORM_NAME:
        return PLATFORM
    try:
        return UUID(text)
    except ValueError:
        known = _slugs()
        if text in known:
            return known[text]
        names = ", ".join([*sorted(known), PLATFORM_NAME])
        raise UnknownWorkspace(f"there is no workspace {text!r}; there are: {names}") from None


def name_of(workspace_id: UUID) -> str:
    """Return the slug of a workspace; its id where it has none any more."""
    if workspace_id == PLATFORM:
        return PLATFORM_NAME
    slugs = {key: slug for slug, key in _slugs().items()}
    return slugs.get(workspace_id, str(workspace_id))


def _slugs() -> dict[str, UUID]:
    rows = apps.get_model("accounts", "Workspace")._default_manager.values_list("slug", "id")
    return {str(slug): UUID(str(key)) for slug, key in rows}
