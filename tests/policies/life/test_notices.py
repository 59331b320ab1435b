"""A rule that obliges to tell a group tells it, once a run, without what was in the call."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import mail

from policies import selectors
from policies.engine import PolicyError, compile_policy
from policies.models import DecisionRecord
from policies.notices import notify_rule
from policies.services import DecisionDraft, decision_record
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import last

RULE = {
    "id": "large",
    "sentence": "Ask two finance reviewers to countersign a call of pay.",
    "reason": "",
    "roles": [],
    "quorum": 0,
    "shadow": False,
    "obligations": ["notify:reviewer:finance", "mask:iban"],
}


def decide(cast: Cast, run: UUID, rules: list[dict[str, Any]]) -> DecisionRecord:
    draft = DecisionDraft(
        actor=cast.actor("alice"),
        action="call:pay",
        outcome="review",
        sentence="Waits.",
        request={"action": "call:pay", "context": {"argument": {"iban": "DE44500105175407"}}},
        policy_version_id=selectors.active_policy(cast.acme.id).version_id,
        rules=rules,
        run_id=run,
        step=2,
    )
    [row] = decision_record(workspace_id=cast.acme.id, decisions=[draft])
    return row


def test_a_group_is_told_once_in_a_run(cast: Cast) -> None:
    run = uuid4()
    for row in (decide(cast, run, [RULE]), decide(cast, run, [RULE])):
        notify_rule(str(cast.acme.id), str(row.id))
    assert sorted(str(one.to[0]).split("@")[0] for one in mail.outbox) == ["beth", "bob", "rita"]
    assert "DE44500105175407" not in "".join(str(one.body) for one in mail.outbox)
    assert f"/w/acme/runs/{run}/steps/2/" in mail.outbox[0].body
    assert last(cast.acme.id, "rule.notified")["detail"]["rule"] == "large"
    other = decide(cast, uuid4(), [RULE])
    notify_rule(str(cast.acme.id), str(other.id))
    assert len(mail.outbox) == 6


def test_a_rule_on_trial_tells_and_says_so(cast: Cast) -> None:
    row = decide(cast, uuid4(), [RULE | {"shadow": True}])
    notify_rule(str(cast.acme.id), str(row.id))
    assert "on trial and changed nothing" in mail.outbox[0].body


def test_without_the_obligation_nobody_is_told(cast: Cast) -> None:
    row = decide(cast, uuid4(), [RULE | {"obligations": ["mask:iban"]}])
    notify_rule(str(cast.acme.id), str(row.id))
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ('@notify("Everyone!")', "@notify must name one role"),
        ('@mask("a b")', "@mask must name one field"),
        ('@redact("")', "@redact must name one field"),
    ],
)
def test_an_obligation_that_cannot_be_met_is_refused(note: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told):
        compile_policy(f'@id("r") {note} permit(principal, action, resource);', tools=())
