"""Workspaces and people as a command line names them: by slug, id or `platform`; by address."""

from uuid import UUID

from django.apps import apps

from audit.drafts import Actor
from audit.errors import UnknownPerson, UnknownWorkspace
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


def person_named(email: str) -> Actor:
    """Return the person with this address, on whose behalf a command acts.

    Raises:
        UnknownPerson: Nobody who is active has it.
    """
    users = apps.get_model("accounts", "User")._default_manager
    found = users.filter(email__iexact=email, is_active=True).first()
    if found is None:
        raise UnknownPerson(f"There is no active person with the address {email!r}.")
    return Actor("user", str(found.pk), str(getattr(found, "name", email)))


def _slugs() -> dict[str, UUID]:
    rows = apps.get_model("accounts", "Workspace")._default_manager.values_list("slug", "id")
    return {str(slug): UUID(str(key)) for slug, key in rows}
