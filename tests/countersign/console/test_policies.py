"""An officer's pages: rules by form, drafts, tests, simulation, submission."""

import html
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from audit.transactions import in_workspace
from policies import forms, life, requests, selectors
from policies.models import DecisionRecord, PolicySimulation
from policies.services import policy_simulation_run
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.world import World

PAY = {
    "tool": "create_payment",
    "over": "10000",
    "outcome": "review",
    "role": "reviewer:finance",
    "quorum": "2",
    "agent": "",
    "reason": "Large payments need two finance reviewers.",
    "id": "large-payments",
}
SENTENCE = (
    "Ask two finance reviewers to countersign a call of create_payment when the amount is more"
    " than 10,000.00 or the amount is not known."
)


def decided(world: World, outcome: str, *, shadow: bool, days_ago: int = 0) -> None:
    """A decision for which the rule "watched" held, in shadow or not."""
    with in_workspace(world.workspace_id):
        DecisionRecord.objects.create(
            workspace_id=world.workspace_id,
            action="call:create_payment",
            outcome=outcome,
            rules=[{"id": "watched", "shadow": shadow, "roles": [], "quorum": 0}],
            sentence="",
            request={},
            request_digest="0" * 64,
            policy_version=life.active_version(world.workspace_id),
            created=datetime.now(UTC) - timedelta(days=days_ago),
        )


@pytest.fixture
def carol(log_in: LogIn, world: World) -> Client:
    return log_in("carol")


def text(client: Client, address: str) -> str:
    answer = client.get(f"/w/acme/policies/{address}")
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.content.decode())))


def post(client: Client, address: str, data: dict[str, Any], status: int = 302) -> str:
    answer = client.post(f"/w/acme/policies/{address}", data)
    assert answer.status_code == status, answer.content.decode()[-3000:]
    return answer.headers.get("Location", "") or html.unescape(answer.content.decode())


def test_a_rule_by_form_may_ask_for_a_code(world: World, carol: Client) -> None:
    looked = post(carol, "v1/rules/new/amount/", PAY | {"look": "1", "code": "on"}, 200)
    told = "two finance reviewers, each with a code of their authenticator,"
    assert told in looked
    post(carol, "v1/rules/new/amount/", PAY | {"save": "1", "code": "on"})
    page = text(carol, "v2/")
    assert told in page
    assert "2 signatures: reviewer: finance, with a code" in page
    again = carol.get("/w/acme/policies/v2/rules/edit/large-payments/").content.decode()
    assert re.search(r'name="code"[^>]* checked', again)
    final = PAY | {"save": "1", "code": "on", "outcome": "deny", "id": "none-at-all"}
    post(carol, "v1/rules/new/amount/", final)
    assert "code of their authenticator" not in text(carol, "v3/")


def test_a_rule_by_form_may_hide_and_tell(world: World, carol: Client) -> None:
    more = PAY | {"mask": "account", "redact": "iban", "notify": "policy_officer"}
    looked = post(carol, "v1/rules/new/amount/", more | {"look": "1"}, 200)
    told = (
        f"{SENTENCE} The field iban of what the tool answers is withheld from program and model."
        " The argument account is hidden in console and API until whoever reads opens it."
        " Policy officers are told by mail."
    )
    assert told in looked
    post(carol, "v1/rules/new/amount/", more | {"save": "1"})
    assert "Policy officers are told by mail." in text(carol, "v2/")
    again = carol.get("/w/acme/policies/v2/rules/edit/large-payments/").content.decode()
    assert '<option value="account" selected>' in again
    assert 'value="iban"' in again
    final = post(carol, "v1/rules/new/amount/", more | {"look": "1", "outcome": "deny"}, 422)
    assert "Withhold: choose that it waits for signatures" in final
    assert "mask" not in carol.get("/w/acme/policies/v1/rules/new/import/").content.decode()
    strange = post(carol, "v1/rules/new/amount/", more | {"look": "1", "mask": "ghost"}, 422)
    assert "ghost is not one of the available choices" in strange


def test_a_rule_by_form_shows_its_sentence_and_becomes_a_draft(world: World, carol: Client) -> None:
    assert "Payments over 10,000.00" in text(carol, "v1/rules/")
    assert "create_payment" in text(carol, "v1/rules/new/amount/")
    looked = post(carol, "v1/rules/new/amount/", PAY | {"look": "1"}, 200)
    assert SENTENCE in looked
    assert len(selectors.policy_versions(world.workspace_id)) == 1
    assert post(carol, "v1/rules/new/amount/", PAY | {"save": "1"}).endswith("/v2/")
    page = text(carol, "v2/")
    assert SENTENCE in page
    assert "Draft 2" in page
    assert "A call of create_payment amount: 10,000.01" in page
    assert "waits for two reviewers" in page
    opened = carol.get("/w/acme/policies/v2/rules/edit/large-payments/").content.decode()
    assert 'value="10000.00"' in opened
    assert SENTENCE in html.unescape(opened)


def test_while_someone_types_only_the_sentence_is_sent(carol: Client) -> None:
    headers = {"HX-Request": "true"}
    address = "/w/acme/policies/v1/rules/new/amount/"
    whole = carol.post(address, PAY, headers=headers).content.decode()
    half = carol.post(address, {"over": "1"}, headers=headers)
    assert SENTENCE in html.unescape(whole)
    assert "<html" not in whole
    carol.post(address, PAY | {"save": "1"}, headers=headers)
    assert carol.get("/w/acme/policies/v2/").status_code == 404
    assert half.status_code == 200
    assert "appears here" in half.content.decode()


def test_a_rule_is_changed_tried_enforced_and_taken_out(world: World, carol: Client) -> None:
    post(carol, "v1/rules/new/amount/", PAY | {"save": "1"})
    post(carol, "v2/rules/edit/large-payments/", PAY | {"over": "500", "save": "1"})
    post(carol, "v3/rules/change/large-payments/", {"act": "shadow"})
    assert "recorded, not enforced" in text(carol, "v4/")
    post(carol, "v4/rules/change/large-payments/", {"act": "enforce"})
    version = selectors.policy_version(world.workspace_id, 5)
    assert version is not None
    [rule] = [p for p in forms.pieces(version.text) if p.id == "large-payments"]
    found = forms.read(rule.text)
    assert found is not None
    assert found.values["over"] == "500.00"
    post(carol, "v5/rules/change/large-payments/", {"act": "remove"})
    assert 'id="rule-large-payments"' not in carol.get("/w/acme/policies/v6/").content.decode()


def test_a_rule_on_trial_has_a_report_of_what_it_would_have_done(
    world: World, carol: Client
) -> None:
    post(carol, "v1/rules/new/amount/", PAY | {"id": "watched", "save": "1"})
    post(carol, "v2/rules/change/watched/", {"act": "shadow"})
    page = carol.get("/w/acme/policies/v3/").content.decode()
    assert "/w/acme/policies/v3/rules/trial/watched/" in page
    assert "Nothing is recorded yet" in text(carol, "v3/rules/trial/watched/")
    decided(world, "allow", shadow=True)
    decided(world, "allow", shadow=True)
    decided(world, "deny", shadow=True)
    decided(world, "allow", shadow=False)
    decided(world, "allow", shadow=True, days_ago=40)
    report = text(carol, "v3/rules/trial/watched/")
    assert "It would have held in 3 decisions" in report
    assert "2 ✓ allowed ◆ 2 signatures: reviewer: finance" in report
    assert "1 ✕ refused ✕ refused" in report
    assert "It would have held in 4 decisions" in text(carol, "v3/rules/trial/watched/?days=60")
    assert carol.get("/w/acme/policies/v3/rules/trial/tier-2/").status_code == 404


def test_faults_are_told_where_they_are(carol: Client) -> None:
    bad = post(carol, "v1/rules/new/amount/", PAY | {"over": "-3"}, 422)
    assert "from 0 up" in bad
    taken = post(carol, "v1/rules/new/amount/", PAY | {"id": "tier-2"}, 422)
    assert "there is a rule tier-2 already" in taken
    wrong = '@id("a") permit(principal, action, resource);\n@id("b") forbid(principal;\n'
    assert "line 2" in post(carol, "v1/text/", {"text": wrong}, 422)
    misspelt = (
        '@id("a") forbid(principal, action == Action::"execute", resource) when { context.x };'
    )
    assert "rule 'a' (line 1)" in post(carol, "v1/text/", {"text": misspelt}, 422)


def test_a_misspelt_label_is_told_on_the_draft(carol: Client, world: World) -> None:
    rule = (
        '\n@id("x") forbid(principal, action in Action::"call", resource)'
        ' when { context.call.labels.contains("confidental") };'
    )
    whole = life.active_version(world.workspace_id).text + rule
    post(carol, "v1/text/", {"text": whole})
    assert "Rule x speaks of 'confidental' data" in text(carol, "v2/")


def test_tests_are_added_shown_and_hold_the_submission_up(world: World, carol: Client) -> None:
    program = {"kind": "program", "program-name": "opens a file", "program-expect": "allow"}
    post(carol, "v1/tests/", program | {"program-code": "open('/etc/passwd')"})
    page = text(carol, "v2/")
    assert "Required tests fail: opens a file." in page
    assert "Submit for signature" not in page
    location = post(carol, "v2/submit/", {})
    assert "Required tests fail" in carol.get(location).content.decode()
    count = len(life.active_version(world.workspace_id).tests)
    post(carol, f"v2/tests/{count}/remove/", {})
    assert "opens a file" not in text(carol, "v3/").split("Versions")[0].split("Required tests")[1]


def test_a_call_and_a_past_decision_become_tests(world: World, carol: Client) -> None:
    arguments = '{"vendor": "V-1", "payee": "x", "account": "DE1", "amount_cents": 1}'
    post(
        carol,
        "v1/tests/",
        {
            "kind": "call",
            "call-name": "small payment",
            "call-expect": "review",
            "call-tool": "create_payment",
            "call-arguments": arguments,
            "call-origin": "task",
        },
    )
    past = life.newest_decisions(world.workspace_id)[0]
    post(
        carol,
        "v2/tests/",
        {
            "kind": "past",
            "past-name": "as then",
            "past-expect": "deny",
            "past-decision": str(past.id),
        },
        422 if "context" not in past.request else 302,
    )


def test_what_must_stay_so_are_the_signatures_too(world: World, carol: Client) -> None:
    with in_workspace(world.workspace_id):
        request = requests.start_run(requests.RunContext(now=datetime.now(UTC)), "A task.")
        past = DecisionRecord.objects.create(
            workspace_id=world.workspace_id,
            action="start_run",
            outcome="review",
            rules=[{"id": "r", "shadow": False, "roles": ["reviewer"], "quorum": 2}],
            sentence="",
            request=asdict(request),
            request_digest="0" * 64,
            policy_version=life.active_version(world.workspace_id),
        )
    asked = {"kind": "past", "past-name": "as then", "past-decision": str(past.id)}
    post(carol, "v1/tests/", asked | {"past-expect": "review"})
    [*_, test] = selectors.policy_version(world.workspace_id, 2).tests  # type: ignore[union-attr]
    assert test["signatures"] == [{"role": "reviewer", "quorum": 2}]
    assert "at least two reviewers" in text(carol, "v2/")


def test_a_call_must_ask_for_so_many_signatures(carol: Client) -> None:
    arguments = {"vendor": "V-1", "payee": "x", "account": "DE1", "amount_cents": 1}
    arguments |= {"currency": "EUR", "reference": "8841"}
    asked = {
        "kind": "call",
        "call-name": "three of them",
        "call-expect": "review",
        "call-tool": "create_payment",
        "call-arguments": json.dumps(arguments),
        "call-quorum": "3",
        "call-role": "reviewer",
    }
    assert "expects review" in post(carol, "v1/tests/", asked | {"call-expect": "deny"}, 422)
    post(carol, "v1/tests/", asked)
    page = text(carol, "v2/")
    assert "at least three reviewers" in page
    assert "Required tests fail: three of them." in page
    assert "✕ review two reviewers" in page


def test_a_simulation_is_asked_for_and_shown(world: World, carol: Client) -> None:
    for days in ("0", "4000", "a month", ""):
        back = post(carol, "v1/simulate/", {"days": days})
        assert "Simulate from 1 to 3,650 days." in carol.get(back).content.decode()
    assert life.simulations(world.workspace_id) == []
    location = post(carol, "v1/simulate/", {"days": "7"})
    assert "Waiting for a worker" in carol.get(location).content.decode()
    [waiting] = life.simulations(world.workspace_id)
    policy_simulation_run(workspace_id=world.workspace_id, simulation_id=waiting.id)
    [done] = life.simulations(world.workspace_id)
    assert done.state == PolicySimulation.State.DONE
    page = carol.get(location).content.decode()
    assert "Waiting for a worker" not in page
    assert carol.get(f"{location}?live").status_code == 200


def test_a_draft_is_submitted_and_the_second_officer_sees_what_it_changes(
    carol: Client, log_in: LogIn
) -> None:
    post(carol, "v1/rules/new/amount/", PAY | {"save": "1"})
    card = post(carol, "v2/submit/", {})
    shown = re.sub(r"<[^>]*>", " ", html.unescape(log_in("chris").get(card).content.decode()))
    shown = re.sub(r"\s+", " ", shown)
    assert "A call of create_payment" in shown
    assert "7 required tests passed" in shown
    assert "Sign to allow" in shown


def test_an_invariant_is_added_and_told_as_a_sentence(carol: Client) -> None:
    promise = {"tier": "3", "outcome": "review", "role": "reviewer", "quorum": "2",
               "agent": "", "id": "two-for-tier-3"}  # fmt: skip
    assert "at least say" in text(carol, "v1/invariants/new/tier/")
    post(carol, "v1/invariants/new/tier/", promise | {"save": "1"})
    page = text(carol, "v2/")
    assert "for certain" in page
    assert "Submit for signature" in page
    card = re.sub(r"<[^>]*>", " ", carol.get(post(carol, "v2/submit/", {})).content.decode())
    assert "Added: Ask two reviewers to countersign a tool call when" in re.sub(r"\s+", " ", card)
    post(carol, "v2/invariants/0/remove/", {})
    assert "None yet, such as" in text(carol, "v3/")


def test_a_promise_that_is_broken_says_by_what(carol: Client) -> None:
    promise = {"over": "10000", "outcome": "review", "role": "reviewer", "quorum": "2",
               "tool": "", "agent": "", "id": "two-for-large"}  # fmt: skip
    post(carol, "v1/invariants/new/amount/", promise | {"save": "1"})
    page = text(carol, "v2/")
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    assert re.search(r"broken A call of \w+, a tool that could be registered; the tool:", said)
    assert re.search(r"amount: [\d,.]+\. It is (allowed|waits for one reviewer)", said)


def test_going_back_is_a_draft_too(carol: Client) -> None:
    post(carol, "v1/draft/", {})
    assert "From version 1" in text(carol, "v2/")


def test_nobody_but_officers_sees_a_way_to_edit(log_in: LogIn, world: World) -> None:
    page = log_in("alice").get("/w/acme/policies/").content.decode()
    assert "Add a rule" not in page
    for address in ("v1/draft/", "v1/submit/", "v1/simulate/", "v1/tests/0/remove/"):
        assert log_in("alice").post(f"/w/acme/policies/{address}").status_code == 403
