"""The verdict on a program before it runs: its execution and every call it may make.

The strictest of the `execute` decision and of a preview of each call site. It is what
`policy_check` prints and what a reviewer is shown; the broker decides each call again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from policies import engine, requests
from policies.facts.record import FINAL_ANSWER, CallSite, Facts, Origin, ToolSpec, join_origins


@dataclass(frozen=True)
class Verdict:
    decision: engine.Decision
    facts: Facts


def judge(
    ctx: requests.RunContext,
    facts: Facts,
    tools: Sequence[ToolSpec],
    policy_set: engine.PolicySet,
) -> Verdict:
    """Decides about a program as far as its text shows what it will do."""
    specs = {tool.name: tool for tool in tools}
    decisions = [engine.decide(requests.execute(ctx, facts), policy_set)]
    for site in facts.calls:
        if site.tool == FINAL_ANSWER:
            decisions.append(engine.decide(_release(ctx, site), policy_set))
        else:
            seen = facts.read_before(site.tool)
            request = requests.planned_call(ctx, specs[site.tool], site, seen=seen)
            decisions.append(engine.preview(request, policy_set))
    return Verdict(engine.strictest(decisions), facts)


def _release(ctx: requests.RunContext, site: CallSite) -> requests.Request:
    known = [argument.value for argument in site.arguments if argument.known]
    origin: Origin = join_origins(argument.origin for argument in site.arguments)
    return requests.release(ctx, known[0] if len(known) == 1 else known, origin)
