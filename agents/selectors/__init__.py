"""What doors read of agents, tools, models and runs. The only readers of these tables for doors.

Every function opens the workspace's transaction, reads, and gives frozen records that hold all a
screen needs: nothing is fetched later, and another workspace's row is `NotFound`.
"""

from agents.selectors.artifacts import (
    ArtifactView,
    artifact,
    artifacts,
    artifacts_named,
    artifacts_of_answer,
)
from agents.selectors.budgets import BudgetLine, budgets_today
from agents.selectors.kill_switches import (
    KillSwitchView,
    kill_switch,
    kill_switches,
    standstills,
)
from agents.selectors.records import (
    AgentRow,
    AgentVersionView,
    ApprovalView,
    CallDetail,
    CallView,
    DecisionView,
    EndpointView,
    Page,
    Rule,
    RunCounts,
    RunDetail,
    RunRow,
    Signature,
    StepView,
    ToolView,
)
from agents.selectors.registry import (
    agent_version,
    agent_versions,
    agents,
    agents_with_tool,
    endpoint_versions,
    endpoints,
    tool_versions,
    tools,
)
from agents.selectors.replays import ReplayView, replay, replays
from agents.selectors.runs import (
    PAGE_SIZE,
    call,
    calls_in_doubt,
    oldest_due,
    request_calls,
    run,
    run_counts,
    run_fingerprint,
    runs,
    step,
    steps,
)
from agents.selectors.sightings import prompt_sightings

__all__ = [
    "PAGE_SIZE",
    "AgentRow",
    "AgentVersionView",
    "ApprovalView",
    "ArtifactView",
    "BudgetLine",
    "CallDetail",
    "CallView",
    "DecisionView",
    "EndpointView",
    "KillSwitchView",
    "Page",
    "ReplayView",
    "Rule",
    "RunCounts",
    "RunDetail",
    "RunRow",
    "Signature",
    "StepView",
    "ToolView",
    "agent_version",
    "agent_versions",
    "agents",
    "agents_with_tool",
    "artifact",
    "artifacts",
    "artifacts_named",
    "artifacts_of_answer",
    "budgets_today",
    "call",
    "calls_in_doubt",
    "endpoint_versions",
    "endpoints",
    "kill_switch",
    "kill_switches",
    "oldest_due",
    "prompt_sightings",
    "replay",
    "replays",
    "request_calls",
    "run",
    "run_counts",
    "run_fingerprint",
    "runs",
    "standstills",
    "step",
    "steps",
    "tool_versions",
    "tools",
]
