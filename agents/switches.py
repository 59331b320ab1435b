"""Which kill switch holds a run. Read at every place where a run could take a next step.

Guarantees: a switch that was set (its transaction committed) before a run is claimed, a turn of the
loop begins, or a tool call is made, is seen there; the lease keeper sees it for a program that only
computes. A call that is already under way is not taken back.
"""

from django.db import connection

from agents.models import KillSwitch, Run
from audit.transactions import in_workspace


def in_force(run: Run, *, tool: str = "") -> KillSwitch | None:
    """The oldest switch that holds the run, or this tool in it.

    Asked several times a step, so the usual answer, none, costs one round trip and no transaction.

    Args:
        run: with its agent version's agent and endpoint at hand.
    """
    version = run.agent_version
    names = (run.workspace_id, run.id, version.agent.name, version.endpoint.name, tool)
    with connection.cursor() as cursor:
        cursor.execute("SELECT countersign_switch(%s, %s, %s, %s, %s)", names)
        found = cursor.fetchone()[0]
    if found is None:
        return None
    with in_workspace(run.workspace_id):
        return KillSwitch.objects.get(id=found)


def holding(run: Run) -> KillSwitch | None:
    """The switch for which the run may not be claimed: one in force, or the one it stopped at.

    A run that stopped at a switched-off tool waits for that tool; it would only run into it again.
    """
    met = run.stopped_by
    return met if met is not None and met.lifted_at is None else in_force(run)
