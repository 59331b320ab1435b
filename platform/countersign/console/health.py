"""Whether the installation does its work, in lines that say what to do when it does not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from agents import selectors as agents
from audit import selectors as audit
from countersign.console import words
from countersign.console.words import ALLOW, DENY, REVIEW
from policies import selectors as policies
from policies.errors import NotFound

SLOW = timedelta(seconds=30)
"""A due run that nobody has taken for so long means that no worker works; the sweep rings
every two seconds."""


@dataclass(frozen=True)
class Line:
    sign: str
    tone: str
    text: str
    more: str = ""


def lines(workspace_id: UUID) -> list[Line]:
    """Workers, policy and log of one workspace."""
    now = timezone.now()
    return [_workers(workspace_id, now), _policy(workspace_id), _log(workspace_id, now)]


def _workers(workspace_id: UUID, now: datetime) -> Line:
    since = agents.oldest_due(workspace_id)
    if since is None or now - since < SLOW:
        return Line("✓", ALLOW, "Workers take runs as they come")
    waited = words.span((now - since).total_seconds())
    return Line(
        "✕", DENY, f"A run has waited {waited} for a worker", "Is one up? Start it: manage.py up"
    )


def _policy(workspace_id: UUID) -> Line:
    try:
        active = policies.active_policy(workspace_id)
    except NotFound:
        return Line("✕", DENY, "No policy is in force", "Nothing may run until one is.")
    return Line("✓", ALLOW, f"Policy version {active.number} is in force")


def _log(workspace_id: UUID, now: datetime) -> Line:
    newest = audit.entries(workspace_id, limit=1).entries
    if not newest:
        return Line("◆", REVIEW, "The log has no entry yet", "The first run leaves the first ones.")
    ago = words.span((now - newest[0].time).total_seconds())
    return Line("✓", ALLOW, "The log is written", f"Last entry {ago} ago")
