"""The comparison on the card: another request, told apart, escaped, complete."""

from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

from django.test import Client

from countersign.console import comparison
from countersign.console.code import difference
from policies.models import Kind
from policies.services import approval_request
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import World, now
from tests.policies.approvals.asking import draft

LAST: dict[str, Any] = {
    "request": "7d0b9a0e-9d7a-4a53-9d6a-1f1f5ab8a001",
    "agent": "Accounts payable v6",
    "requester": "Alice",
    "signed_by": ["Bob", "Beth"],
    "signed_at": "2026-11-20T14:03:00+00:00",
    "used_at": "",
}
CODE = {
    **LAST,
    "code": "to = 'DE01'\nprint(to)\n",
    "values": [{"line": 1, "before": "'DE01'", "now": "'<b>SE02'"}],
}
PROGRAM = {"kind": "code", "code": "to = '<b>SE02'\nprint(to)\n"}
EFFECTS = {
    **LAST,
    "tools": [{"tool": "create_payment", "before": 3, "now": 5, "changed": True}],
    "amounts": [{"currency": "EUR", "before": 120_000, "now": 240_000}],
    "recipients": {"before": 3, "now": 4, "new": ["<i>SE02", "x\u202ey"], "gone": 1, "alike": []},
}


def page(client: Client, world: World, kind: Kind, shown: dict[str, Any]) -> str:
    about = replace(
        draft(world.cast, kind=kind, displayed=shown, run_id=world.runs["waiting"].id, step=3),
        sign_by=now() + timedelta(hours=1),
        execute_by=now() + timedelta(hours=2),
    )
    request = approval_request(workspace_id=world.workspace_id, draft=about, now=now())
    return client.get(f"/w/acme/approvals/{request.id}/").content.decode()


def test_a_program_is_compared_in_values_and_lines(world: World, log_in: LogIn) -> None:
    html = page(log_in("bob"), world, Kind.CODE, {**PROGRAM, "compared": CODE})
    assert "<b>SE02" not in html
    assert f"/w/acme/approvals/{LAST['request']}/" in html
    said = text(html)
    assert "1 value differs; otherwise only names, comments or layout." in said
    assert "signed by Bob and Beth" in said
    assert "Its signatures allow nothing here." in said
    assert "<mark>DE01</mark>" in html


def test_a_program_never_seen_says_so_in_words(world: World, log_in: LogIn) -> None:
    said = text(page(log_in("bob"), world, Kind.CODE, {**PROGRAM, "compared": None}))
    assert "Not seen before. Nobody has signed a program of this agent" in said
    assert "not seen before" in said.split("Compared with")[0]  # in the queue as well


def test_effects_are_compared_in_counts_sums_and_recipients(world: World, log_in: LogIn) -> None:
    shown = {"kind": "manifest", "compared": EFFECTS}
    html = page(log_in("bob"), world, Kind.MANIFEST, shown)
    said = text(html)
    assert "Create payment, another version of it 3 times 5 times ◆ changed" in said
    assert "In all 1,200.00 EUR 2,400.00 EUR ◆ changed" in said
    assert "2 recipients that the last list had not; 1 of the last list not in this one." in said
    assert "<i>SE02" not in html
    assert "⟨U+202E⟩" in said


def test_a_recipient_that_looks_like_an_old_one_is_called_out(world: World, log_in: LogIn) -> None:
    people = {**EFFECTS["recipients"], "alike": [{"before": "pay", "now": "p\u0430y"}]}
    shown = {"kind": "manifest", "compared": {**EFFECTS, "recipients": people}}
    said = unescape(text(page(log_in("bob"), world, Kind.MANIFEST, shown)))
    assert "is another: 'p\\u0430y' now, 'pay' then." in said


def test_new_recipients_are_masked_where_a_rule_masks_them() -> None:
    effect = {"roles": {"account": "recipient"}}
    shown = {"kind": "manifest", "compared": EFFECTS, "effects": [effect]}
    open_, hidden = (
        comparison.build(shown),
        comparison.build({**shown, "rules": [{"obligations": ["mask:account"]}]}),
    )
    assert open_ is not None
    assert hidden is not None
    assert (open_.masked, hidden.masked) == (False, True)


def test_older_requests_and_answers_have_none() -> None:
    assert comparison.build({"kind": "code", "code": "1"}) is None


def test_the_same_program_says_that_what_it_reads_may_differ() -> None:
    same = {**CODE, "code": PROGRAM["code"], "values": []}
    found = comparison.build({**PROGRAM, "compared": same})
    assert found is not None
    assert found.says == "Word for word the same program. What it reads may be different."
    assert found.lines == ()


def test_programs_too_long_to_compare_are_shown_whole() -> None:
    old, new = "a\nb\n" * 5_000, "b\na\n" * 5_000
    rows = difference(old, new)
    assert [row.kind for row in rows] == ["cut"] * 10_000 + ["add"] * 10_000
