"""Changes over the API: proposed by programs, signed by people, in force after that only."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents import selectors as agents
from agents.registry.writing import agent_text
from countersign.accounts.scopes import Scope
from countersign.accounts.selectors import roles_of
from policies.models import Answer as Answers
from policies.models import ApprovalRequest, Meaning
from policies.selectors import active_policy
from policies.services import change_apply, vote_cast
from policies.services.simulation import policy_simulation_run
from tests.agents.runs.stage import Stage
from tests.countersign.accounts.log import last
from tests.countersign.api.caller import Answer, Caller, caller_in

RULE = '\n@id("no-notes") forbid(principal, action == Action::"call:note_down", resource);\n'
WHY = {"reason": "Too early."}


def file(stage: Stage, goal: str = "Pay nobody.") -> dict[str, Any]:
    return {"file": agent_text(stage.workspace_id, "Teller", {"goal": goal})}


def proposed(caller: Caller, stage: Stage, **headers: str) -> dict[str, Any]:
    found = caller.post("changes/registrations", file(stage), **headers)
    assert found.status == 201, found.body
    change: dict[str, Any] = found.body["change"]
    assert found.headers["Location"] == f"/api/v1/changes/{change['id']}"
    return change


def sign(stage: Stage, change: dict[str, Any], who: str = "carol") -> None:
    now = datetime.now(UTC)
    about: dict[str, Any] = {"workspace_id": stage.workspace_id, "request_id": change["id"]}
    result = vote_cast(
        **about,
        voter=stage.cast.actor(who),
        answer=Answers.SIGN,
        meaning=Meaning.APPROVED,
        comment="",
        displayed_digest=change["displayed_digest"],
        reauthenticated_at=now,
        now=now,
    )
    assert result.completed, result.refusal
    assert change_apply(**about, now=now) is None


def test_a_file_is_proposed_and_takes_effect_when_a_person_signs(
    billing: Caller, stage: Stage
) -> None:
    change = proposed(billing, stage)
    assert (change["kind"], change["state"], change["made"]) == ("registry", "waiting", None)
    assert change["words"] == [
        "Agent Teller, version 1 to 2: goal is “Pay nobody.”, was “Pay the vendors.”"
    ]
    [row] = agents.agents(stage.workspace_id)
    assert row.version.number == 1
    sign(stage, change)
    found = billing.get(f"changes/{change['id']}").body
    assert (found["state"], found["made"] is None) == ("approved", False)
    assert [vote["user_name"] for vote in found["votes"]] == ["Carol"]
    [row] = agents.agents(stage.workspace_id)
    assert (row.version.number, row.version.goal) == (2, "Pay nobody.")


def test_a_file_that_changes_nothing_asks_for_nothing(billing: Caller, stage: Stage) -> None:
    found = billing.post("changes/registrations", file(stage, "Pay the vendors."))
    assert (found.status, found.body) == (200, {"change": None})


def test_faults_of_a_file_are_told_each(billing: Caller) -> None:
    found = billing.post("changes/registrations", {"file": "agents:\n  Clerk: {}\ntools: 3\n"})
    assert (found.status, found.code, set(found.fields)) == (422, "request_invalid", {"file"})
    assert "line" in str(found.body["errors"])
    long = billing.post("changes/registrations", {"file": "#" * 400_001})
    assert (long.status, long.fields) == (422, ["file"])


def test_a_proposal_that_is_sent_again_is_made_once(billing: Caller, stage: Stage) -> None:
    key = {"Idempotency_Key": "w47"}
    first = proposed(billing, stage, **key)
    again = billing.post("changes/registrations", file(stage), **key)
    assert (again.status, again.body["change"]["id"]) == (200, first["id"])
    assert len(billing.get("changes").body["items"]) == 1
    other = billing.post("changes/registrations", file(stage, "Pay all."), **key)
    assert (other.status, other.code) == (409, "idempotency_key_used")
    # Another account's key is another key.
    theirs = caller_in(stage.cast.acme).post("changes/registrations", file(stage), **key)
    assert theirs.status == 201


def test_only_the_account_that_asked_withdraws(billing: Caller, stage: Stage) -> None:
    change = proposed(billing, stage)
    place = f"changes/{change['id']}/withdraw"
    other = caller_in(stage.cast.acme).post(place, WHY)
    assert (other.status, other.code) == (403, "not_requester")
    assert billing.post(place, {"reason": " "}).status == 409
    found = billing.post(place, WHY)
    assert (found.status, found.body["state"]) == (200, "cancelled")
    assert billing.post(place, WHY).code == "state"
    assert billing.post(place, {}).fields == ["reason"]


def test_a_change_that_is_made_is_not_withdrawn(billing: Caller, stage: Stage) -> None:
    change = proposed(billing, stage)
    sign(stage, change)
    assert billing.post(f"changes/{change['id']}/withdraw", WHY).code == "state"


def test_a_request_of_a_run_is_no_change(billing: Caller, request_of: ApprovalRequest) -> None:
    assert billing.get(f"changes/{request_of.id}").status == 404
    assert billing.post(f"changes/{request_of.id}/withdraw", WHY).status == 404
    assert billing.get("changes").body["items"] == []


def test_lists_come_in_pages_newest_first(billing: Caller, stage: Stage) -> None:
    made = [
        billing.post("changes/registrations", file(stage, goal)).body["change"]["id"]
        for goal in ("One.", "Two.", "Three.")
    ]
    first = billing.get("changes", limit=2).body
    assert [each["id"] for each in first["items"]] == made[:0:-1]
    rest = billing.get("changes", limit=2, cursor=first["next"]).body
    assert ([each["id"] for each in rest["items"]], rest["next"]) == (made[:1], "")
    assert billing.get("changes", state="approved").body["items"] == []
    assert billing.get("changes", state="signed").status == 422


def roles(caller: Caller, username: str, *wanted: str, **headers: str) -> Answer:
    return caller.post("changes/roles", {"username": username, "roles": list(wanted)}, **headers)


def test_roles_are_proposed_and_held_when_a_person_signs(billing: Caller, stage: Stage) -> None:
    found = roles(billing, "DAN", "operator", "auditor")
    assert found.status == 201, found.body
    change = found.body["change"]
    assert (change["kind"], change["state"]) == ("role", "waiting")
    assert change["words"] == ["Person Dan (dan): roles is “auditor, operator”, was “auditor”"]
    dan = stage.cast.id("dan")
    assert roles_of(dan, stage.workspace_id) == {"auditor"}
    sign(stage, change)
    assert roles_of(dan, stage.workspace_id) == {"auditor", "operator"}
    assert last(stage.workspace_id, "member.changed")["actor"]["type"] == "service"
    same = roles(billing, "dan", "operator", "auditor", "auditor")
    assert (same.status, same.body) == (200, {"change": None})


def test_taking_a_role_waits_for_a_person_too(billing: Caller, stage: Stage) -> None:
    change = roles(billing, "rita", "reviewer:security").body["change"]
    rita = stage.cast.id("rita")
    assert change["title"].endswith("wants to leave Rita the role reviewer:security only.")
    assert roles_of(rita, stage.workspace_id) == {"reviewer:finance", "reviewer:security"}
    sign(stage, change)
    assert roles_of(rita, stage.workspace_id) == {"reviewer:security"}


def test_a_proposal_of_roles_says_what_is_wrong(billing: Caller) -> None:
    assert roles(billing, "nobody", "operator").status == 404
    assert roles(billing, "mallory", "operator").status == 404
    wrong = roles(billing, "dan", "superuser")
    assert (wrong.status, wrong.fields) == (422, ["roles"])
    assert "reviewer:<group>" in str(wrong.body["errors"])
    assert roles(billing, "dan").fields == ["roles"]


def test_a_proposal_of_roles_that_is_sent_again_is_made_once(billing: Caller, stage: Stage) -> None:
    key = {"Idempotency_Key": "dan-operates"}
    first = roles(billing, "dan", "operator", "auditor", **key)
    again = roles(billing, "dan", "auditor", "operator", **key)
    assert (first.status, again.status) == (201, 200)
    assert again.body["change"]["id"] == first.body["change"]["id"]
    assert roles(billing, "dan", "admin", **key).code == "idempotency_key_used"


def test_a_proposal_of_roles_is_withdrawn(billing: Caller, stage: Stage) -> None:
    change = roles(billing, "dan", "operator").body["change"]
    found = billing.post(f"changes/{change['id']}/withdraw", WHY)
    assert (found.status, found.body["state"]) == (200, "cancelled")


def draft(caller: Caller, stage: Stage, text: str = "", **more: Any) -> Answer:
    whole = text or active_policy(stage.workspace_id).text + RULE
    return caller.post("policies", {"text": whole, "note": "No notes", **more})


def test_a_policy_is_drafted_tried_submitted_and_signed(billing: Caller, stage: Stage) -> None:
    made = draft(billing, stage)
    assert made.status == 201, made.body
    number = made.body["number"]
    assert made.headers["Location"] == f"/api/v1/policies/{number}"
    assert (made.body["active"], made.body["parent"]) == (False, 1)
    assert billing.get(f"policies/{number}/readiness").body["ready"]
    tried = billing.post(f"policies/{number}/simulations", {"days": 3})
    assert (tried.status, tried.body["state"]) == (201, "waiting")
    policy_simulation_run(workspace_id=stage.workspace_id, simulation_id=tried.body["id"])
    assert billing.get(f"policies/simulations/{tried.body['id']}").body["state"] == "done"
    change = billing.post(f"policies/{number}/submit", {}).body["change"]
    assert (change["kind"], change["state"]) == ("policy", "waiting")
    assert any(each.startswith("Rule no-notes is new: ") for each in change["words"])
    assert active_policy(stage.workspace_id).number == 1
    sign(stage, change)
    assert active_policy(stage.workspace_id).number == number


def test_a_draft_that_is_sent_again_is_written_once(billing: Caller, stage: Stage) -> None:
    body, key = {"note": "Again"}, {"Idempotency_Key": "draft"}
    first = billing.post("policies", body, **key)
    again = billing.post("policies", body, **key)
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert billing.post("policies", {"note": "Other"}, **key).code == "idempotency_key_used"
    # A key of a draft is no key of a file.
    mixed = billing.post("changes/registrations", file(stage), **key)
    assert mixed.code == "idempotency_key_used"


@pytest.mark.parametrize(
    "text", ["permit(", "permit(principal, action, resource);", "//" + "x" * 500_001]
)
def test_a_text_that_cannot_be_used_says_why(billing: Caller, stage: Stage, text: str) -> None:
    found = draft(billing, stage, text)
    assert (found.status, found.fields) == (422, ["text"])
    assert billing.post("policies", {"parent": 99}).status == 404


def test_a_draft_with_a_failing_test_is_not_submitted(billing: Caller, stage: Stage) -> None:
    text = '@id("nothing") forbid(principal, action == Action::"execute", resource);\n'
    made = draft(billing, stage, text + active_policy(stage.workspace_id).text)
    found = billing.post(f"policies/{made.body['number']}/submit", {})
    assert (found.status, found.code) == (409, "not_ready")
    assert "A sum is allowed" in found.body["detail"]


def test_reading_and_proposing_are_two_scopes(stage: Stage) -> None:
    reader = caller_in(stage.cast.acme, Scope.APPROVALS_READ, Scope.REGISTRY_READ)
    for path, body in (("changes/registrations", file(stage)), ("policies", {}),
                       ("policies/1/submit", {}), ("policies/1/simulations", {})):  # fmt: skip
        assert reader.post(path, body).code == "scope"
    assert caller_in(stage.cast.acme, Scope.REGISTRY_CHANGE).get("changes").code == "scope"
