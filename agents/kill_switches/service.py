"""Sets and lifts kill switches.

Setting takes hold at once (see `switches`): a run that is held parks, and goes on where it was when
the switch is lifted; a switch for one run ends it. Stopping is open to everyone who works in the
workspace and to its service accounts (a monitoring system may stop what a person then looks at),
lifting to the people who govern it; a switch for the workspace or for everything is lifted by two
people, one who asks and another who does it. Switches stay on record, and every attempt does.

`workspace_id=None` acts on everything. No role of any workspace reaches that far: its door is the
command line of the host, which names the people.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from agents import services
from agents.errors import NotFound
from agents.models import (
    FINAL_STATES,
    TWO_PERSON_SCOPES,
    Agent,
    KillScope,
    KillSwitch,
    ModelEndpoint,
    Run,
    RunState,
    Tool,
)
from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies.directory import directory
from policies.errors import Reason, Refusal

LIFT_ROLES = frozenset({"admin", "policy_officer"})
SET_ROLES = LIFT_ROLES | {"operator", "reviewer"}
"""`reviewer` stands for a reviewer of any group."""


@dataclass(frozen=True)
class Lift:
    """What lifting came to: done, or asked for and waiting for a second person."""

    switch: KillSwitch
    lifted: bool


def kill_set(
    *, workspace_id: UUID | None, scope: KillScope, subject: str = "", reason: str, actor: Actor
) -> KillSwitch | Refusal:
    """Stop something; what is stopped already stays so, with its first reason.

    Args:
        workspace_id: None for scope `all`, and only then.
        subject: id of the run, or name of the agent, tool or model; "" for workspace and all.

    Raises:
        NotFound: there is nothing of that name to stop.
    """
    with in_workspace(workspace_id):
        refusal = _set_refused(workspace_id, scope, subject, reason, actor)
        if refusal is not None:
            record(workspace_id, [_refused(workspace_id, scope, subject, refusal, actor)])
            return refusal
        if workspace_id is not None:
            _require(scope, subject)
        switch, made = _in_force_or_made(workspace_id, scope, subject, reason, actor)
        if made:
            payloads: dict[str, JSON] = {"reason": switch.reason}
            record(workspace_id, [_entry("kill.set", switch, actor, payloads)])
        if workspace_id is not None and scope is KillScope.RUN:
            services.run_cancel(
                workspace_id=workspace_id,
                run_id=UUID(subject),
                actor=actor,
                reason=switch.reason,
            )
    return switch


def kill_lift(
    *, workspace_id: UUID | None, switch_id: UUID, reason: str, actor: Actor
) -> Lift | Refusal:
    """Lift a switch, or ask for it where a second person has to; held runs then go on.

    Raises:
        NotFound: there is no such switch here.
    """
    with in_workspace(workspace_id):
        switch = _locked(workspace_id, switch_id)
        refusal = _lift_refused(workspace_id, switch, reason, actor)
        if refusal is not None:
            draft = _refused(workspace_id, KillScope(switch.scope), switch.subject, refusal, actor)
            record(workspace_id, [draft])
            return refusal
        said = canonical.clean(reason.strip())
        payloads: dict[str, JSON] = {"reason": said}
        if switch.scope in TWO_PERSON_SCOPES and switch.lift_asked_at is None:
            switch.lift_asked_by_id, switch.lift_asked_by_name = actor.id, actor.name
            switch.lift_asked_at, switch.lift_reason = datetime.now(UTC), said
            switch.save()
            record(workspace_id, [_entry("kill.lift_asked", switch, actor, payloads)])
            return Lift(switch, lifted=False)
        switch.lifted_by_id, switch.lifted_by_name = actor.id, actor.name
        switch.lifted_at = datetime.now(UTC)
        switch.lift_reason = switch.lift_reason or said
        switch.save()
        record(workspace_id, [_entry("kill.lifted", switch, actor, payloads)])
        if workspace_id is not None:
            _release(switch)
    if workspace_id is None:
        _release_everywhere(switch)
    return Lift(switch, lifted=True)


def _set_refused(
    workspace_id: UUID | None, scope: KillScope, subject: str, reason: str, actor: Actor
) -> Refusal | None:
    if (workspace_id is None) != (scope is KillScope.ALL):
        return Refusal(Reason.STATE, "Only a switch for everything belongs to no workspace.")
    if bool(subject) == (scope in TWO_PERSON_SCOPES):
        return Refusal(Reason.STATE, "Name the run, agent, tool or model to stop, and only those.")
    if not reason.strip():
        return Refusal(Reason.INCOMPLETE, "Say why; whoever waits for it will read this.")
    if workspace_id is None and actor.type != "user":
        return Refusal(Reason.NOT_A_PERSON, "Only a person stops everything.")
    if workspace_id is not None and not _may_set(actor, workspace_id):
        return Refusal(Reason.ROLE, "You need a role in this workspace that works with runs.")
    return None


def _may_set(actor: Actor, workspace_id: UUID) -> bool:
    # What a service account may do is its token's scope, which the door asked for.
    return actor.type == "service" or bool(_roles(actor, workspace_id) & SET_ROLES)


def _lift_refused(
    workspace_id: UUID | None, switch: KillSwitch, reason: str, actor: Actor
) -> Refusal | None:
    if switch.lifted_at is not None:
        return Refusal(Reason.STATE, f"{switch.lifted_by_name} has lifted this switch already.")
    if not reason.strip():
        return Refusal(Reason.INCOMPLETE, "Say why it may go on.")
    if actor.type != "user" or directory().person(actor.id) is None:
        return Refusal(Reason.NOT_A_PERSON, "Only a person lifts a kill switch.")
    if workspace_id is not None and not _roles(actor, workspace_id) & LIFT_ROLES:
        return Refusal(Reason.ROLE, "Lifting needs the role admin or policy officer.")
    if switch.lift_asked_by_id == actor.id:
        return Refusal(Reason.REQUESTER, "You asked for this; another person has to lift it.")
    return None


def _roles(actor: Actor, workspace_id: UUID) -> frozenset[str]:
    return directory().roles(actor.id, workspace_id) if actor.type == "user" else frozenset()


def _require(scope: KillScope, subject: str) -> None:
    """A switch that names nothing would look like a stop and be none."""
    match scope:
        case KillScope.RUN:
            running = Run.objects.exclude(state__in=FINAL_STATES)
            found = _is_uuid(subject) and running.filter(id=subject).exists()
        case KillScope.AGENT:
            found = Agent.objects.filter(name=subject).exists()
        case KillScope.TOOL:
            found = Tool.objects.filter(name=subject).exists()
        case KillScope.MODEL:
            found = ModelEndpoint.objects.filter(name=subject).exists()
        case _:
            return
    if not found:
        what = "run that could be stopped" if scope is KillScope.RUN else scope.value
        raise NotFound(f"There is no {what} named {subject!r} in this workspace.")


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _in_force_or_made(
    workspace_id: UUID | None, scope: KillScope, subject: str, reason: str, actor: Actor
) -> tuple[KillSwitch, bool]:
    same = _of(workspace_id).filter(scope=scope, subject=subject, lifted_at__isnull=True)
    if present := same.first():
        return present, False
    try:
        with transaction.atomic():
            made = KillSwitch.objects.create(
                workspace_id=workspace_id,
                scope=scope,
                subject=subject,
                reason=canonical.clean(reason.strip()),
                set_by_id=actor.id,
                set_by_name=actor.name,
            )
    except IntegrityError:
        # Somebody set the same switch at the same moment.
        return same.get(), False
    return made, True


def _of(workspace_id: UUID | None) -> QuerySet[KillSwitch]:
    if workspace_id is None:
        return KillSwitch.objects.filter(workspace__isnull=True)
    return KillSwitch.objects.filter(workspace_id=workspace_id)


def _locked(workspace_id: UUID | None, switch_id: UUID) -> KillSwitch:
    switch = _of(workspace_id).select_for_update().filter(id=switch_id).first()
    if switch is None:
        raise NotFound(f"There is no kill switch {switch_id} here.")
    return switch


def _release(switch: KillSwitch) -> None:
    """Let the runs of the open workspace that the switch stopped go on."""
    stopped = Run.objects.filter(stopped_by=switch, state=RunState.QUEUED)
    for run in stopped.order_by("id").select_for_update():
        run.reason, run.wake_at = "", None
        run.save(update_fields=["reason", "wake_at"])
        services.wake(run)


def _release_everywhere(switch: KillSwitch) -> None:
    """Each workspace in a transaction of its own; what this misses looks again by itself."""
    workspaces = apps.get_model("accounts", "Workspace")._default_manager.all()
    for workspace_id in workspaces.values_list("id", flat=True):
        with in_workspace(workspace_id):
            _release(switch)


def _entry(action: str, switch: KillSwitch, actor: Actor, payloads: dict[str, JSON]) -> Draft:
    return Draft(
        action=action,
        actor=actor,
        subject=Subject("kill_switch", str(switch.id)),
        detail={"scope": switch.scope, "subject": canonical.clean(switch.subject)},
        payloads=payloads,
    )


def _refused(
    workspace_id: UUID | None, scope: KillScope, subject: str, refusal: Refusal, actor: Actor
) -> Draft:
    return Draft(
        action="kill.refused",
        actor=actor,
        subject=Subject("workspace", str(workspace_id or "all")),
        detail={
            "scope": scope.value,
            "subject": canonical.clean(subject)[:100],
            "refusal": refusal.reason.value,
        },
    )
