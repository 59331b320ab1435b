"""One table: every operation of the API, its address, what it needs, what it answers."""

from dataclasses import dataclass
from typing import Any

from countersign.accounts.scopes import Scope


@dataclass(frozen=True)
class Operation:
    """`path` holds {run}, {request}, {entry} and so on: things of the workspace under test.

    `status` is what it answers there, where no sequencer is at work; `streams`: it answers no JSON.
    """

    id: str
    method: str
    path: str
    scope: Scope
    body: dict[str, Any] | None = None
    status: int = 200
    streams: bool = False

    @property
    def names_something(self) -> bool:
        return "{" in self.path


OPERATIONS = (
    Operation("run_start", "POST", "runs", Scope.RUNS_START, {"agent": "Teller"}, 201),
    # Takes a form only; its own tests send one.
    Operation("run_upload", "POST", "runs/upload", Scope.RUNS_START, {}, 415),
    Operation("run_list", "GET", "runs", Scope.RUNS_READ),
    Operation("run_get", "GET", "runs/{run}", Scope.RUNS_READ),
    Operation("run_steps", "GET", "runs/{run}/steps", Scope.RUNS_READ),
    Operation("artifact_list", "GET", "runs/{run}/artifacts", Scope.RUNS_READ),
    Operation(
        "artifact_content",
        "GET",
        "runs/{run}/artifacts/{artifact}/content",
        Scope.RUNS_READ,
        streams=True,
    ),
    Operation("run_events", "GET", "runs/{run}/events", Scope.RUNS_READ),
    Operation("run_stream", "GET", "runs/{run}/events/stream", Scope.RUNS_READ, streams=True),
    Operation("run_cancel", "POST", "runs/{run}/cancel", Scope.RUNS_CONTROL, {}),
    Operation("kill_switch_list", "GET", "kill-switches", Scope.KILL_SWITCHES_READ),
    Operation(
        "kill_switch_set",
        "POST",
        "kill-switches",
        Scope.KILL_SWITCHES_SET,
        {"scope": "tool", "subject": "pay", "reason": "It pays twice."},
    ),
    Operation("approval_list", "GET", "approvals", Scope.APPROVALS_READ),
    Operation("approval_get", "GET", "approvals/{request}", Scope.APPROVALS_READ),
    Operation("change_list", "GET", "changes", Scope.APPROVALS_READ),
    Operation("change_get", "GET", "changes/{change}", Scope.APPROVALS_READ),
    Operation(
        "registration_propose",
        "POST",
        "changes/registrations",
        Scope.REGISTRY_CHANGE,
        {"file": "tools:\n  ledger: tests.agents.runs.tools:ledger\n"},
    ),
    Operation(
        "roles_propose",
        "POST",
        "changes/roles",
        Scope.REGISTRY_CHANGE,
        {"username": "dan", "roles": ["auditor", "operator"]},
        201,
    ),
    Operation(
        "change_withdraw",
        "POST",
        "changes/{change}/withdraw",
        Scope.REGISTRY_CHANGE,
        {"reason": "Too early."},
        403,
    ),
    Operation("policy_draft", "POST", "policies", Scope.REGISTRY_CHANGE, {"note": "Again"}, 201),
    Operation(
        "policy_simulate",
        "POST",
        "policies/{policy}/simulations",
        Scope.REGISTRY_CHANGE,
        {"days": 7},
        201,
    ),
    Operation(
        "policy_submit", "POST", "policies/{policy}/submit", Scope.REGISTRY_CHANGE, None, 409
    ),
    Operation("agent_list", "GET", "agents", Scope.REGISTRY_READ),
    Operation("tool_list", "GET", "tools", Scope.REGISTRY_READ),
    Operation("model_list", "GET", "models", Scope.REGISTRY_READ),
    Operation("policy_list", "GET", "policies", Scope.REGISTRY_READ),
    Operation("policy_get", "GET", "policies/{policy}", Scope.REGISTRY_READ),
    Operation("policy_readiness_get", "GET", "policies/{policy}/readiness", Scope.REGISTRY_READ),
    Operation(
        "policy_simulation_list", "GET", "policies/{policy}/simulations", Scope.REGISTRY_READ
    ),
    Operation(
        "policy_simulation_get",
        "GET",
        "policies/simulations/{simulation}",
        Scope.REGISTRY_READ,
    ),
    Operation("entry_list", "GET", "audit/entries", Scope.AUDIT_READ),
    Operation("entry_get", "GET", "audit/entries/{entry}", Scope.AUDIT_READ),
    Operation(
        "entry_proof_get", "GET", "audit/entries/{entry}/proof", Scope.AUDIT_READ, status=409
    ),
    Operation(
        "consistency_get", "GET", "audit/consistency?old=1&new=2", Scope.AUDIT_READ, status=422
    ),
    Operation("checkpoint_list", "GET", "audit/checkpoints", Scope.AUDIT_READ),
    Operation("checkpoint_latest", "GET", "audit/checkpoints/latest", Scope.AUDIT_READ, status=404),
    Operation("checkpoint_get", "GET", "audit/checkpoints/{size}", Scope.AUDIT_READ, status=404),
    Operation("checkpoint_note", "GET", "audit/checkpoint", Scope.AUDIT_READ, streams=True),
    Operation("log_status", "GET", "audit/status", Scope.AUDIT_READ),
    Operation("export_start", "POST", "audit/exports", Scope.AUDIT_EXPORT, {"kind": "workspace"}),
    Operation("export_list", "GET", "audit/exports", Scope.AUDIT_EXPORT),
    Operation("export_get", "GET", "audit/exports/{export}", Scope.AUDIT_EXPORT),
    Operation(
        "export_download",
        "GET",
        "audit/exports/{export}/download",
        Scope.AUDIT_EXPORT,
        streams=True,
    ),
    Operation("verification_start", "POST", "audit/verifications", Scope.AUDIT_READ),
    Operation("verification_get", "GET", "audit/verifications/{verification}", Scope.AUDIT_READ),
)
