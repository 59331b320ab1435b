"""Addresses of the console; those of a workspace carry its slug."""

from django.urls import URLPattern, URLResolver, include, path

from countersign.console.views import (
    approvals,
    audit,
    changes,
    checkpoints,
    exports,
    home,
    kill_switches,
    people,
    policies,
    registry,
    runs,
    session,
)

app_name = "console"

_workspace: list[URLPattern | URLResolver] = [
    path("", home.overview, name="overview"),
    path("runs/", runs.run_list, name="run_list"),
    path("runs/start/", runs.run_choose, name="run_choose"),
    path("runs/start/<path:agent>/", runs.run_start, name="run_start"),
    path("runs/<uuid:run_id>/", runs.run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/live/", runs.run_live, name="run_live"),
    path("runs/<uuid:run_id>/stop/", runs.run_stop, name="run_stop"),
    path("runs/<uuid:run_id>/steps/<int:number>/", runs.run_step, name="run_step"),
    path("runs/<uuid:run_id>/calls/<uuid:call_id>/", runs.run_call, name="run_call"),
    path("approvals/", approvals.approval_list, name="approval_list"),
    path("approvals/<uuid:request_id>/", approvals.approval_card, name="approval_card"),
    path("approvals/<uuid:request_id>/live/", approvals.approval_live, name="approval_live"),
    path("approvals/<uuid:request_id>/sign/", approvals.approval_sign, name="approval_sign"),
    path("approvals/<uuid:request_id>/reject/", approvals.approval_reject, name="approval_reject"),
    path("approvals/<uuid:request_id>/ask/", approvals.approval_ask, name="approval_ask"),
    path("approvals/<uuid:request_id>/answer/", approvals.approval_inform, name="approval_inform"),
    path("agents/", registry.agent_list, name="agent_list"),
    path("agents/propose/", changes.registry_propose, name="registry_propose"),
    path("agents/<path:name>/propose/", changes.agent_propose, name="agent_propose"),
    path("agents/<path:name>/v<int:number>/", registry.agent_detail, name="agent_version"),
    path("agents/<path:name>/", registry.agent_detail, name="agent_detail"),
    path("tools/", registry.tool_list, name="tool_list"),
    path("tools/<path:name>/v<int:number>/", registry.tool_detail, name="tool_version"),
    path("tools/<path:name>/", registry.tool_detail, name="tool_detail"),
    path("models/", registry.model_list, name="model_list"),
    path("models/<path:name>/v<int:number>/", registry.model_detail, name="model_version"),
    path("models/<path:name>/", registry.model_detail, name="model_detail"),
    path("policies/", policies.policy_detail, name="policy_detail"),
    path("policies/v<int:number>/", policies.policy_detail, name="policy_version"),
    path("kill-switches/", kill_switches.kill_switch_list, name="kill_switch_list"),
    path("kill-switches/set/", kill_switches.kill_switch_set, name="kill_switch_set"),
    path(
        "kill-switches/<uuid:switch_id>/lift/",
        kill_switches.kill_switch_lift,
        name="kill_switch_lift",
    ),
    path("audit/", audit.audit_list, name="audit_list"),
    path("audit/verify/", audit.audit_verify, name="audit_verify"),
    path("audit/checks/<uuid:verification_id>/", audit.audit_report, name="audit_report"),
    path("audit/checkpoints/", checkpoints.audit_checkpoints, name="audit_checkpoints"),
    path("audit/checkpoints/<int:size>/", checkpoints.audit_checkpoint, name="audit_checkpoint"),
    path("audit/verifier/", checkpoints.audit_verifier, name="audit_verifier"),
    path("audit/exports/", exports.audit_exports, name="audit_exports"),
    path("audit/exports/<uuid:export_id>/", exports.audit_export, name="audit_export"),
    path(
        "audit/exports/<uuid:export_id>/again/",
        exports.audit_export_again,
        name="audit_export_again",
    ),
    path(
        "audit/exports/<uuid:export_id>/<slug:form>/",
        exports.audit_download,
        name="audit_download",
    ),
    path("audit/<uuid:entry_id>/", audit.audit_entry, name="audit_entry"),
    path("audit/<uuid:entry_id>/payload/", audit.audit_payload, name="audit_payload"),
    path("audit/<uuid:entry_id>/proof/", audit.audit_proof, name="audit_proof"),
    path("people/", people.person_list, name="person_list"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("login", session.login, name="login"),
    path("logout", session.logout, name="logout"),
    path("password", session.password, name="password"),
    path("w/<slug:slug>/", include(_workspace)),
]
