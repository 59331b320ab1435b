"""Handing a request to another person, or to a group of reviewers.

Guarantees: it changes whom we ask, never who may sign. Roles, quorum, bars and both clocks of the
request stay what its digest covers; asked is only who may sign it now, so a group is asked as far
as its members may. Whoever may sign but was not asked may still sign.

Refused: to whoever asked for it or wrote a part of it (nobody picks their own countersigner), to
people without a role that it requires, and to a group of which nobody else may sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from audit.canonical import JSON
from audit.services import Actor
from audit.transactions import in_workspace
from policies import approvals, standing, tasks
from policies.directory import directory
from policies.errors import Reason, Refusal
from policies.models import ApprovalRequest, EventKind
from policies.services.approval import locked
from policies.services.conversation import may_take_part, needs, note, refuse


@dataclass(frozen=True)
class _Asked:
    """Who is asked from now on: one person, or a role."""

    name: str
    detail: Mapping[str, JSON]
    person: UUID | None = None
    role: str = ""


def approval_reassign(
    *,
    workspace_id: UUID,
    request_id: UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    to: str = "",
    role: str = "",
) -> Refusal | None:
    """Hand a request to a person (`to`, an id) or to a group (`role`, as in "reviewer:finance").

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        refusal = (
            may_take_part(request, actor, now)
            or _may_choose(request, actor)
            or needs(reason, "Say why you hand it on.")
        )
        asked = refusal or _asked(request, actor, to, role, now)
        if isinstance(asked, Refusal):
            return refuse(request, actor, EventKind.REASSIGNED, asked)
        request.assignee_id, request.assignee_role = asked.person, asked.role
        request.save(update_fields=["assignee", "assignee_role"])
        said = f"{asked.name}: {reason.strip()}"
        note(request, EventKind.REASSIGNED, actor, said, now, asked.detail)
        notify = partial(tasks.notify_assignee.delay, str(workspace_id), str(request_id), actor.id)
        transaction.on_commit(notify, robust=True)
        return None


def _may_choose(request: ApprovalRequest, actor: Actor) -> Refusal | None:
    """Who asked for it, or wrote a part of it, has no say in who looks at it."""
    people = directory()
    voter = standing.voter(actor.id, request.workspace_id, people)
    unable = approvals.may_count(standing.standing(request, people), voter)
    if unable is None:
        return None
    return Refusal(
        unable.reason, "You asked for this or wrote a part of it; others choose who looks at it."
    )


def _asked(
    request: ApprovalRequest, actor: Actor, to: str, role: str, now: datetime
) -> _Asked | Refusal:
    if bool(to) == bool(role):
        return Refusal(Reason.INCOMPLETE, "Choose one person or one group.")
    return _group(request, actor, role, now) if role else _person(request, to, now)


def _person(request: ApprovalRequest, to: str, now: datetime) -> _Asked | Refusal:
    people = directory()
    target = standing.voter(to, request.workspace_id, people)
    unable = approvals.may_sign(standing.standing(request, people), target, now)
    if unable is not None:
        return Refusal(unable.reason, "That person may not sign this.")
    person = people.person(target.id)
    name = "" if person is None else person.name
    return _Asked(name, {"to": target.id}, person=UUID(target.id))


def _group(request: ApprovalRequest, actor: Actor, role: str, now: datetime) -> _Asked | Refusal:
    able = standing.eligible_of(request, role, directory(), now)
    if not role.startswith(standing.GROUP) or not [p for p in able if p.id != actor.id]:
        return Refusal(Reason.ROLE, "Nobody else of that group may sign this.")
    name = f"reviewers of {role.removeprefix(standing.GROUP)}"
    return _Asked(name, {"to_role": role, "able": len(able)}, role=role)
