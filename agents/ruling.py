"""The policy in force, ready to decide on one run."""

from collections.abc import Iterable
from uuid import UUID

from policies.engine import PolicySet, compile_policy
from policies.facts.record import ToolSpec
from policies.tools import registered

_NAMES_A_TOOL = '"call:'


def rules_for(workspace_id: UUID, text: str, own: Iterable[ToolSpec]) -> PolicySet:
    """Compile a policy for an agent with its own versions of tools.

    A rule may name a tool that this agent does not have: it is no fault of the agent's, so the
    other tools of the workspace are known to the policy too, in their newest version.

    Raises:
        PolicyError: the text does not fit these tools.
    """
    known = {}
    if _NAMES_A_TOOL in text:
        known = {spec.name: spec for spec in registered(workspace_id)}
    known |= {spec.name: spec for spec in own}
    return compile_policy(text, tools=list(known.values()))
