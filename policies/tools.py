"""The tools of a workspace, from the provider that the settings name.

The room does not know the registry; policies must still be checked against what is registered.
"""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from policies.facts.record import ToolSpec


def registered(workspace_id: UUID) -> Sequence[ToolSpec]:
    """The newest version of every tool of the workspace."""
    found: Sequence[ToolSpec] = import_string(settings.COUNTERSIGN_TOOL_SPECS)(workspace_id)
    return found
