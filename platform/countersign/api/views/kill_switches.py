"""Kill switches: what stands still, and stopping something.

A program may stop what it watches. Lifting is for people, in the console.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from agents import selectors as agents
from agents.kill_switches import service as kill_switches
from agents.models import KillScope
from countersign.accounts.scopes import Scope
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import of_refusal
from countersign.api.schemas import kill_switches as out
from policies.errors import Refusal

router = Router(tags=["kill switches"])


@router.get(
    "",
    auth=Bearer(Scope.KILL_SWITCHES_READ),
    response=says(out.KillSwitchPage),
    summary="What stands still",
)
def kill_switch_list(
    request: HttpRequest, filters: Query[out.KillSwitchFilters]
) -> Mapping[str, Any]:
    """The switches this workspace is under, newest first; those for everything are among them.

    Of very many the newest 200 are listed.
    """
    return page(agents.kill_switches(caller(request).workspace_id, lifted=filters.lifted))


@router.post(
    "",
    auth=Bearer(Scope.KILL_SWITCHES_SET),
    response=says(out.KillSwitchOut, 400, 404, 409, 413, 415),
    summary="Stop a run, agent, tool, model or the workspace",
)
def kill_switch_set(request: HttpRequest, body: out.KillSwitchIn) -> agents.KillSwitchView:
    """Takes hold at the next tool call, and within a second for a program that only computes.

    What is stopped already stays so, with its first reason. A run that is stopped itself ends; all
    others are held and go on once a person has lifted the switch.
    """
    who = caller(request)
    made = kill_switches.kill_set(
        workspace_id=who.workspace_id,
        scope=KillScope(body.scope.value),
        subject=body.subject,
        reason=body.reason,
        actor=who.actor,
    )
    if isinstance(made, Refusal):
        raise of_refusal(made)
    return agents.kill_switch(who.workspace_id, made.id)
