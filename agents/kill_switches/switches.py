"""Which kill switch holds a run. Read at every place where a run could take a next step.

Guarantees: a switch that was set (its transaction committed) before a run is claimed, a turn of the
loop begins, or a tool call is made, is seen there; the lease keeper sees it for a program that only
computes. A call that is already under way is not taken back.
"""

from uuid import UUID

from django.db import connection

from agents.models import KillSwitch, Run
from audit import wire
from audit.transactions import in_workspace

_SWITCH = "SELECT countersign_switch($1, $2, $3, $4, $5)"


def in_force(run: Run, *, tool: str = "") -> KillSwitch | None:
    """The oldest switch that holds the run, or this tool in it.

    Asked several times a step, so the usual answer, none, costs one round trip and no transaction.

    Args:
        run: with its agent version's agent and endpoint at hand.
    """
    version = run.agent_version
    names = (version.agent.name, version.endpoint.name, tool)
    wanted = [wire.uuid(run.workspace_id), wire.uuid(run.id), *map(wire.text, names)]
    found = wire.call(connection, _SWITCH, wanted)
    if found is None:
        return None
    with in_workspace(run.workspace_id):
        return KillSwitch.objects.get(id=UUID(bytes=found))


def holding(run: Run) -> KillSwitch | None:
    """The switch for which the run may not be claimed: one in force, or the one it stopped at.

    A run that stopped at a switched-off tool waits for that tool; it would only run into it again.
    """
    met = run.stopped_by
    return met if met is not None and met.lifted_at is None else in_force(run)
