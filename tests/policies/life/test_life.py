"""From a draft to a version in force: tests, invariants, simulation, second officer, and back."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.transactions import in_workspace
from policies import cases, forms, life, selectors
from policies.errors import InvalidRequest, Reason, Refusal
from policies.facts.extract import extract
from policies.forms import RuleForm, write
from policies.forms.text import remove
from policies.models import ApprovalRequest, PolicySimulation, PolicyVersion
from policies.requests import RunContext, execute
from policies.services import (
    DecisionDraft,
    change_apply,
    decision_record,
    policy_draft,
    policy_simulate,
    policy_simulation_run,
    policy_submit,
)
from policies.starter import starter_text
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import vote

PAY = RuleForm("pay", "amount", {"over": "10000"}, role="reviewer", quorum=2)
TIER = RuleForm("top", "tier", {"tier": 3}, role="reviewer", quorum=2)


def draft(cast: Cast, who: str = "carol", **given: Any) -> PolicyVersion:
    made = policy_draft(workspace_id=cast.acme.id, author=cast.actor(who), **given)
    assert isinstance(made, PolicyVersion)
    return made


def submit(cast: Cast, version: PolicyVersion, who: str = "carol") -> ApprovalRequest | Refusal:
    return policy_submit(
        workspace_id=cast.acme.id, version_id=version.id, submitter=cast.actor(who), now=NOW
    )


def publish(cast: Cast, version: PolicyVersion) -> None:
    request = submit(cast, version)
    assert isinstance(request, ApprovalRequest), request
    assert vote(cast, request, "chris").completed
    assert change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW) is None
    assert selectors.active_policy(cast.acme.id).version_id == version.id


def refused(found: object) -> Refusal:
    assert isinstance(found, Refusal), found
    return found


def test_the_last_signature_puts_a_version_in_force(cast: Cast) -> None:
    publish(cast, draft(cast, text=forms.append(starter_text(), write(PAY))))
    assert actions(cast.acme.id)[-2:] == ["approval.consumed", "policy.activated"]


def test_a_draft_has_the_tests_of_the_version_it_was_made_from(cast: Cast) -> None:
    first = life.active_version(cast.acme.id)
    assert len(first.tests) >= 5
    made = draft(cast, text=starter_text() + "\n// more\n")
    assert made.tests == first.tests
    assert made.parent_id == first.id


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        ([], "no required tests"),
        ([cases.program("opens", "open('/etc/passwd')", "allow")], "Required tests fail: opens"),
        ([{"name": "broken", "expect": "allow"}], "Required tests fail: broken"),
    ],
)
def test_without_passing_tests_nothing_is_submitted(
    cast: Cast, tests: list[Any], told: str
) -> None:
    found = refused(submit(cast, draft(cast, text=starter_text() + "\n", tests=tests)))
    assert found.reason is Reason.NOT_READY
    assert told in found.sentence
    assert last(cast.acme.id, "policy.refused")["detail"]["reason"] == "not_ready"


def test_a_broken_invariant_stops_a_version_whoever_signs(cast: Cast) -> None:
    publish(cast, draft(cast, invariants=[write(TIER)]))
    weaker = remove(starter_text(), "tier-3-and-4")
    found = refused(submit(cast, draft(cast, text=weaker)))
    assert "breaks an invariant: top" in found.sentence


def test_an_invariant_cannot_be_dropped_together_with_the_rules_it_guards(cast: Cast) -> None:
    publish(cast, draft(cast, invariants=[write(TIER)]))
    weaker = remove(starter_text(), "tier-3-and-4")
    found = refused(submit(cast, draft(cast, text=weaker, invariants=[])))
    assert "rules and invariants at once" in found.sentence
    assert "breaks an invariant" in found.sentence


def test_changing_an_invariant_needs_a_second_officer(cast: Cast) -> None:
    publish(cast, draft(cast, invariants=[write(TIER)]))
    without = draft(cast, invariants=[])
    request = submit(cast, without)
    assert isinstance(request, ApprovalRequest)
    assert request.displayed["promises"]["removed"] == [write(TIER)]
    assert vote(cast, request, "carol").refusal is not None
    assert vote(cast, request, "chris").completed


def test_a_promise_that_the_rules_break_already_is_not_made(cast: Cast) -> None:
    found = refused(submit(cast, draft(cast, invariants=[write(PAY)])))
    assert "breaks an invariant: pay" in found.sentence


def test_going_back_keeps_the_invariants_of_now(cast: Cast) -> None:
    first = life.active_version(cast.acme.id)
    publish(cast, draft(cast, text=forms.append(starter_text(), write(PAY))))
    publish(cast, draft(cast, invariants=[write(TIER)]))
    back = draft(cast, parent_id=first.id)
    assert back.text == first.text
    assert back.invariants == [write(TIER)]
    publish(cast, back)


def test_everyone_who_wrote_a_draft_is_barred_from_signing_it(cast: Cast) -> None:
    one = draft(cast, "chris", text=forms.append(starter_text(), write(PAY)))
    two = draft(cast, "carol", text=one.text + "\n// and\n", parent_id=one.id)
    request = submit(cast, two)
    assert isinstance(request, ApprovalRequest)
    assert set(request.barred) == {str(cast.id("carol")), str(cast.id("chris"))}
    found = vote(cast, request, "chris").refusal
    assert found is not None
    assert found.reason is Reason.BARRED


def test_the_card_shows_tests_differences_and_the_simulation(cast: Cast) -> None:
    version = draft(cast, text=forms.append(starter_text(), write(PAY)))
    simulated(cast, version)
    request = submit(cast, version)
    assert isinstance(request, ApprovalRequest)
    shown = request.displayed
    assert all(test["passed"] for test in shown["readiness"]["tests"])
    assert shown["readiness"]["difference"]["examples"]
    assert shown["simulation"]["total"] == 0


def simulated(cast: Cast, version: PolicyVersion, days: int = 30) -> PolicySimulation:
    asked = policy_simulate(
        workspace_id=cast.acme.id,
        version_id=version.id,
        requester=cast.actor("carol"),
        days=days,
        now=timezone.now() + timedelta(minutes=1),
    )
    assert isinstance(asked, PolicySimulation)
    policy_simulation_run(workspace_id=cast.acme.id, simulation_id=asked.id)
    found = life.simulation(cast.acme.id, asked.id)
    assert found is not None
    return found


def remember(cast: Cast, code: str, times: int) -> None:
    active = selectors.active_policy(cast.acme.id)
    facts = extract(code, tools=(), allowed_imports={"re"})
    request = execute(RunContext(now=NOW), facts)
    made = DecisionDraft(
        actor=cast.actor("alice"),
        action="execute",
        outcome="allow",
        sentence="Allowed.",
        request={
            "action": request.action,
            "principal": list(request.principal),
            "resource": list(request.resource),
            "context": dict(request.context),
        },
        policy_version_id=active.version_id,
    )
    decision_record(workspace_id=cast.acme.id, decisions=[made] * times)


def test_a_simulation_lists_what_would_have_been_different(cast: Cast) -> None:
    remember(cast, "x = 1", 3)
    remember(cast, "import re\nprint(re.escape('a'))", 2)
    rule = write(RuleForm("no-re", "import", {"module": "re"}))
    found = simulated(cast, draft(cast, text=forms.append(starter_text(), rule)))
    assert found.state == "done"
    assert (found.done, found.total) == (5, 5)
    assert found.counts == {"allow -> deny": 2, "same": 3}
    assert [change["rules"] for change in found.changes] == [["no-re"]] * 2
    assert last(cast.acme.id, "policy.simulated")["detail"]["counts"] == found.counts


def test_a_simulation_is_done_once_and_only_for_officers(cast: Cast) -> None:
    version = draft(cast, text=starter_text() + "\n")
    found = simulated(cast, version)
    policy_simulation_run(workspace_id=cast.acme.id, simulation_id=found.id)
    assert actions(cast.acme.id).count("policy.simulated") == 1
    stranger = policy_simulate(
        workspace_id=cast.acme.id,
        version_id=version.id,
        requester=cast.actor("alice"),
        days=7,
        now=NOW,
    )
    assert refused(stranger).reason is Reason.ROLE
    with pytest.raises(InvalidRequest):
        simulated(cast, version, days=0)


def test_every_page_of_the_past_is_read_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "PAGE", 2)
    remember(cast, "x = 1", 7)
    with in_workspace(cast.acme.id):
        pages = list(life.past_decisions(cast.acme.id, NOW - timedelta(days=3650)))
    keys = [past.key for page in pages for past in page]
    assert len(keys) == len(set(keys)) == 7
