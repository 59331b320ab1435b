"""Decisions are stored as they were made."""

from typing import Any
from uuid import uuid4

import pytest

from audit.errors import CanonicalError
from audit.services import Actor
from policies import selectors
from policies.services import DecisionDraft, decision_record
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import actions, last

RULE = {
    "id": "W3",
    "sentence": "Payments wait for finance.",
    "reason": "Money leaves.",
    "roles": ["reviewer:finance"],
    "quorum": 2,
    "shadow": False,
}


def draft(cast: Cast, **changes: Any) -> DecisionDraft:
    given: dict[str, Any] = {
        "actor": Actor("agent", "payables", "Accounts payable"),
        "action": "execute",
        "outcome": "review",
        "sentence": "Payments wait for finance.",
        "request": {"action": "execute", "context": {"tier": 3, "share": 0.5}},
        "policy_version_id": selectors.active_policy(cast.acme.id).version_id,
        "rules": [RULE, {**RULE, "id": "S1", "shadow": True}],
        "run_id": uuid4(),
        "step": 0,
        "facts": {"calls": ["payments.create"]},
        "facts_digest": "f" * 64,
    }
    return DecisionDraft(**{**given, **changes})


def test_a_decision_keeps_facts_rules_and_version(cast: Cast) -> None:
    given = draft(cast)
    (row,) = decision_record(workspace_id=cast.acme.id, decisions=[given])
    stored = selectors.decision(cast.acme.id, row.id)
    assert stored is not None
    assert stored.rules == list(given.rules)
    assert stored.facts == given.facts
    assert stored.policy_version.number == 1
    assert selectors.decision(cast.other.id, row.id) is None
    leaf = last(cast.acme.id, "decision.made")
    assert leaf["run"] == str(given.run_id)
    assert leaf["detail"]["rules"] == ["W3"]
    assert leaf["detail"]["shadow"] == ["S1"]
    assert leaf["detail"]["step"] == 0
    assert sorted(leaf["payloads"]) == ["facts", "sentence"]


def test_many_decisions_are_stored_in_their_order(cast: Cast) -> None:
    run = uuid4()
    drafts = [draft(cast, run_id=run, action="call", call_seq=seq, facts=None) for seq in range(20)]
    rows = decision_record(workspace_id=cast.acme.id, decisions=drafts)
    assert [row.call_seq for row in rows] == list(range(20))
    stored = selectors.decisions_of_run(cast.acme.id, run)
    assert [row.call_seq for row in stored] == list(range(20))
    assert actions(cast.acme.id).count("decision.made") == 20
    assert decision_record(workspace_id=cast.acme.id, decisions=[]) == []


def test_hostile_text_is_stored_not_fatal(cast: Cast) -> None:
    hostile = draft(cast, sentence="a\0b", request={"tool": "\0\ud800"}, facts={"name": "\0"})
    (row,) = decision_record(workspace_id=cast.acme.id, decisions=[hostile])
    assert row.sentence == "a\ufffdb"


def test_a_request_without_canonical_form_is_the_callers_fault(cast: Cast) -> None:
    with pytest.raises(CanonicalError):
        decision_record(
            workspace_id=cast.acme.id, decisions=[draft(cast, request={"x": float("nan")})]
        )
