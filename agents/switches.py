"""Which kill switch holds a run. Read at every place where a run could take a next step.

Guarantees: a switch that was set (its transaction committed) before a run is claimed, a turn of the
loop begins, or a tool call is made, is seen there; the lease keeper sees it for a program that only
computes. A call that is already under way is not taken back.
"""

from django.db.models import Q

from agents.models import KillScope, KillSwitch, Run
from audit.transactions import in_workspace


def in_force(run: Run, *, tool: str = "") -> KillSwitch | None:
    """The oldest switch that holds the run, or this tool in it.

    Args:
        run: with its agent version's agent and endpoint at hand.
    """
    version = run.agent_version
    held = (
        Q(scope__in=[KillScope.ALL, KillScope.WORKSPACE])
        | Q(scope=KillScope.RUN, subject=str(run.id))
        | Q(scope=KillScope.AGENT, subject=version.agent.name)
        | Q(scope=KillScope.MODEL, subject=version.endpoint.name)
    )
    if tool:
        held |= Q(scope=KillScope.TOOL, subject=tool)
    with in_workspace(run.workspace_id):
        return KillSwitch.objects.filter(held, lifted_at__isnull=True).order_by("set_at").first()


def holding(run: Run) -> KillSwitch | None:
    """The switch for which the run may not be claimed: one in force, or the one it stopped at.

    A run that stopped at a switched-off tool waits for that tool; it would only run into it again.
    """
    met = run.stopped_by
    return met if met is not None and met.lifted_at is None else in_force(run)
