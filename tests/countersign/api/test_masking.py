"""What a rule masks, no program gets without a scope of its own and an entry."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from agents.models import Call
from audit.transactions import in_workspace
from countersign.accounts.scopes import Scope
from policies import masks
from policies.models import ApprovalRequest, Kind
from policies.services import approval_request
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import actions, last
from tests.countersign.api.caller import Caller, account_of, caller_in, issue
from tests.countersign.console.test_comparison import EFFECTS
from tests.countersign.console.test_masking import EFFECT, RULES, SECRET, asked, masked_call
from tests.countersign.console.world import World, make_world, now
from tests.policies.approvals.asking import draft

READS = (Scope.APPROVALS_READ, Scope.RUNS_READ)


@pytest.fixture
def world(cast: Cast) -> World:
    return make_world(cast)


def without(cast: Cast) -> Caller:
    """With every scope but the one for it."""
    some = [scope for scope in Scope if scope is not Scope.MASKS_OPEN]
    return Caller(issue(account_of(cast.acme), *some).secret)


def opener(cast: Cast) -> Caller:
    return caller_in(cast.acme, *READS, Scope.MASKS_OPEN)


def full(world: World) -> ApprovalRequest:
    """A request that tells the recipient wherever one may stand."""
    people = {"before": 1, "now": 1, "gone": 0, "new": [SECRET]}
    twins = [{"now": SECRET, "before": f"{SECRET}2"}]
    about = replace(
        draft(
            world.cast,
            kind=Kind.MANIFEST,
            displayed={
                "kind": "manifest",
                "effects": [EFFECT],
                "rules": RULES,
                "totals": {"effects": 1, "amounts": {"EUR": 1}, "recipients": [SECRET]},
                "compared": {**EFFECTS, "recipients": {**people, "alike": twins}},
            },
            run_id=world.runs["waiting"].id,
            step=3,
        ),
        sign_by=now() + timedelta(hours=1),
        execute_by=now() + timedelta(hours=2),
    )
    return approval_request(workspace_id=world.workspace_id, draft=about, now=now())


def test_a_request_is_told_without_what_its_rules_mask(world: World, cast: Cast) -> None:
    request = full(world)
    found = without(cast).get(f"approvals/{request.id}").body
    assert SECRET not in json.dumps(found)
    assert found["masked"] == ["account"]
    shown = found["displayed"]
    assert shown["effects"][0]["arguments"] == {"account": masks.MASKED, "amount_cents": 1}
    assert shown["totals"] == {
        "effects": 1,
        "amounts": {"EUR": 1},
        "recipients": [masks.MASKED],
    }
    assert shown["compared"]["recipients"]["new"] == [masks.MASKED]
    assert "mask.opened" not in actions(world.workspace_id)


def test_a_token_for_it_is_shown_all_and_named_by_the_log(world: World, cast: Cast) -> None:
    request = asked(world)
    found = opener(cast).get(f"approvals/{request.id}").body
    assert found["displayed"]["effects"][0]["arguments"]["account"] == SECRET
    assert found["masked"] == []
    leaf = last(world.workspace_id, "mask.opened")
    assert leaf["actor"]["type"] == "service"
    assert leaf["subject"] == {"type": "approval_request", "id": str(request.id)}
    assert leaf["detail"] == {"arguments": ["account"]}


def test_a_request_without_a_mask_leaves_no_such_entry(world: World, cast: Cast) -> None:
    plain = approval_request(workspace_id=world.workspace_id, draft=draft(cast), now=now())
    assert opener(cast).get(f"approvals/{plain.id}").body["masked"] == []
    assert "mask.opened" not in actions(world.workspace_id)


def test_steps_do_not_tell_it_either(world: World, cast: Cast) -> None:
    call = masked_call(world)
    with in_workspace(world.workspace_id):
        Call.objects.filter(id=call.id).update(
            error={"type": "ToolFailed", "message": f"no account {SECRET}"}
        )
    address = f"runs/{world.runs['doubt'].id}/steps"
    told = without(cast).get(address).body
    assert SECRET not in json.dumps([step["calls"] for step in told["items"]])
    [row] = [each for step in told["items"] for each in step["calls"] if each["masked"]]
    assert (row["id"], row["masked"]) == (str(call.id), ["account"])
    assert row["error"] == {"type": "ToolFailed"}
    assert "mask.opened" not in actions(world.workspace_id)
    opened = opener(cast).get(address).body
    [row] = [e for s in opened["items"] for e in s["calls"] if e["id"] == str(call.id)]
    assert (row["arguments"], row["masked"]) == ({"account": SECRET}, [])
    assert SECRET in row["error"]["message"]
    assert last(world.workspace_id, "mask.opened")["subject"] == {
        "type": "call",
        "id": str(call.id),
    }
