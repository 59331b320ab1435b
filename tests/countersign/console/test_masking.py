"""What a rule masks is in no page until somebody asks for it, and the log says who did."""

import html
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.test import Client

from agents.models import Call
from audit.transactions import in_workspace
from countersign.console import effects
from policies import life, masks
from policies.models import ApprovalRequest, DecisionRecord, Kind
from policies.services import approval_request
from tests.countersign.accounts.log import last
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_comparison import EFFECTS, page
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import World, now
from tests.policies.approvals.asking import draft

SECRET = "DE4400001111"
RULES: list[dict[str, Any]] = [
    {"id": "r", "sentence": "", "obligations": ["mask:account", "notify:reviewer:finance"]}
]
EFFECT: dict[str, Any] = {
    "position": 0,
    "token": "t",
    "tool": "create_payment",
    "version": "v",
    "arguments": {"account": SECRET, "amount_cents": 1},
    "origins": {},
    "roles": {"account": "recipient"},
}


def asked(world: World) -> ApprovalRequest:
    about = replace(
        draft(
            world.cast,
            kind=Kind.MANIFEST,
            displayed={"kind": "manifest", "effects": [EFFECT], "rules": RULES},
            run_id=world.runs["waiting"].id,
            step=3,
        ),
        sign_by=now() + timedelta(hours=1),
        execute_by=now() + timedelta(hours=2),
    )
    return approval_request(workspace_id=world.workspace_id, draft=about, now=now())


def masked_call(world: World) -> Call:
    """The effect in doubt, with a decision whose rule masks the account."""
    with in_workspace(world.workspace_id):
        decision = DecisionRecord.objects.create(
            workspace_id=world.workspace_id,
            action="call:create_payment",
            outcome="review",
            rules=RULES,
            sentence="",
            request={},
            request_digest="0" * 64,
            policy_version=life.active_version(world.workspace_id),
        )
        call = Call.objects.get(id=world.doubt.id)
        call.decision, call.arguments = decision, {"account": SECRET}
        call.save(update_fields=["decision", "arguments"])
        return call


def got(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def shown(client: Client, address: str) -> str:
    answer = client.post(f"{address}unmask/")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_an_argument_is_masked_by_what_its_rules_oblige_to() -> None:
    [row] = effects.rows([EFFECT], {}, {}, masks.masked(RULES))
    said = {cell.heading: cell.parts[0].masked for cell in row.cells}
    assert said == {"Recipient": True, "Amount cents": False}


def test_the_card_shows_what_is_masked_to_whoever_the_log_then_names(
    world: World, log_in: LogIn
) -> None:
    request, bob = asked(world), log_in("bob")
    address = f"/w/acme/approvals/{request.id}/"
    closed = got(bob, address)
    assert SECRET not in closed
    assert "The log will say that you looked." in closed
    assert SECRET not in got(bob, f"{address}live/")
    opened = shown(bob, address)
    assert SECRET in opened
    assert "The log will say" not in opened
    leaf = last(world.workspace_id, "mask.opened")
    assert leaf["actor"]["id"] == str(world.cast.id("bob"))
    assert leaf["subject"] == {"type": "approval_request", "id": str(request.id)}
    assert leaf["detail"] == {"arguments": ["account"]}
    assert SECRET not in got(bob, address)


def test_run_step_and_call_do_not_show_it_either(world: World, log_in: LogIn) -> None:
    call, alice = masked_call(world), log_in("alice")
    run = f"/w/acme/runs/{world.runs['doubt'].id}/"
    with in_workspace(world.workspace_id):
        step = Call.objects.select_related("step").get(id=call.id).step.number
    address = f"{run}calls/{call.id}/"
    for where in (run, f"{run}live/", f"{run}steps/{step}/", address):
        assert SECRET not in got(alice, where), where
    assert SECRET in shown(alice, address)
    assert last(world.workspace_id, "mask.opened")["subject"]["id"] == str(call.id)


def test_a_recipient_that_looks_like_another_is_told_behind_the_mask_too(
    world: World, log_in: LogIn
) -> None:
    people = {**EFFECTS["recipients"], "alike": [{"before": "pay", "now": "p\u0430y"}]}
    shown = {
        "kind": "manifest",
        "effects": [EFFECT],
        "compared": {**EFFECTS, "recipients": people},
        "rules": RULES,
    }
    said = html.unescape(text(page(log_in("bob"), world, Kind.MANIFEST, shown)))
    assert "One looks like a recipient of the last list and is another. Show what" in said
    assert "p\\u0430y" not in said


def test_another_workspace_opens_nothing(world: World, log_in: LogIn) -> None:
    request, call = asked(world), masked_call(world)
    mallory = log_in("mallory")
    for address in (
        f"/w/acme/approvals/{request.id}/unmask/",
        f"/w/acme/runs/{world.runs['doubt'].id}/calls/{call.id}/unmask/",
    ):
        assert mallory.post(address).status_code == 404
