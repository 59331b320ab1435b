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
SILENT = timedelta(hours=1)
"""An anchor that has not answered for so long is worth a word to everybody."""


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
    if not audit.sequencing():
        return Line(
            "✕",
            DENY,
            "Nothing signs the log",
            "No sequencer is at work. Entries are written and safe. Start it: manage.py up",
        )
    return _anchors(workspace_id, now) or Line(
        "✓",
        ALLOW,
        "The log is written and signed",
        f"Last entry {words.span((now - newest[0].time).total_seconds())} ago",
    )


def _anchors(workspace_id: UUID, now: datetime) -> Line | None:
    """What is wrong with those outside who hold the log; None where they are well."""
    states = audit.tree_status(workspace_id).anchors
    where = "An auditor sees it under Audit, Checkpoints and anchors."
    refused = [state.anchor for state in states if state.refused]
    if refused:
        return Line("✕", DENY, f"{words.names(refused)} holds another history of the log", where)
    silent = [
        state.anchor
        for state in states
        if state.failures and now - (state.succeeded_at or state.attempted_at) > SILENT
    ]
    if silent:
        return Line(
            "◆", REVIEW, f"No answer from {words.names(silent)}, which anchors the log", where
        )
    return None
