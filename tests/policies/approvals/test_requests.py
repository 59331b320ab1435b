"""The life of a request: asked, signed or rejected, used, ended."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import canonical
from audit.services import Actor
from audit.transactions import in_workspace
from policies import selectors
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.models import Answer, Approval, ApprovalRequest, Kind, Vote
from policies.services import (
    approval_ask,
    approval_cancel,
    approval_edited,
    approval_expire,
    approval_inform,
    approval_reassign,
    approval_supersede,
    approval_verify,
    approvals_expire,
)
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import (
    BINDING,
    ONE_FINANCE,
    approved,
    ask,
    consume,
    state,
    vote,
)

LATER = NOW + timedelta(hours=5)
MUCH_LATER = NOW + timedelta(hours=9)


def test_two_signatures_make_an_approval_that_is_used_once(cast: Cast) -> None:
    request = approved(cast)
    assert state(cast, request) == "approved"
    used = consume(cast, request)
    assert isinstance(used, Approval)
    assert (used.consumed_at, used.consumed_by) == (NOW, "worker-1")
    assert actions(cast.acme.id)[-5:] == [
        "approval.requested",
        "vote.cast",
        "vote.cast",
        "approval.completed",
        "approval.consumed",
    ]


def test_the_log_says_who_signed_what_and_with_which_roles(cast: Cast) -> None:
    request = approved(cast)
    leaf = last(cast.acme.id, "approval.completed")
    assert leaf["run"] == str(request.run_id)
    assert leaf["detail"]["binding"] == request.binding_digest
    voters = {item["id"]: item["roles"] for item in leaf["detail"]["voters"]}
    assert voters == {
        str(cast.id("bob")): ["reviewer", "reviewer:finance"],
        str(cast.id("beth")): ["reviewer", "reviewer:finance"],
    }
    cast_leaf = last(cast.acme.id, "vote.cast")
    assert cast_leaf["actor"]["name"] == "Beth"
    assert cast_leaf["detail"]["meaning"] == "approved"
    assert cast_leaf["detail"]["displayed"] == request.displayed_digest


SHOWN = {"zeta": {"subject": "b", "amount": 1e22, "to": "a"}, "alpha": [1.0, 2.5e-7, "\u00e9"]}


def test_what_was_shown_keeps_its_order_and_can_be_hashed_again(cast: Cast) -> None:
    asked = ask(cast, displayed=SHOWN)
    with in_workspace(cast.acme.id):
        stored = ApprovalRequest.objects.get(id=asked.id)
    assert json.dumps(stored.displayed) == json.dumps(SHOWN)
    assert canonical.digest(stored.displayed) == stored.displayed_digest == asked.displayed_digest


def test_one_rejection_ends_it_and_says_why(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    result = vote(cast, request, "beth", Answer.REJECT, comment="The account is new.")
    assert result.refusal is None
    assert not result.completed
    assert result.state == "rejected"
    assert isinstance(consume(cast, request), Refusal)
    leaf = last(cast.acme.id, "vote.cast")
    assert "account is new" not in str(leaf)
    assert "comment" in leaf["payloads"]


def test_a_rejection_without_a_reason_is_refused(cast: Cast) -> None:
    result = vote(cast, ask(cast), "bob", Answer.REJECT, comment="   ")
    assert result.refusal is not None
    assert result.refusal.reason is Reason.INCOMPLETE
    assert result.state == "waiting"


def test_every_refused_vote_leaves_an_entry(cast: Cast) -> None:
    request = ask(cast)
    result = vote(cast, request, "alice")
    assert result.refusal is not None
    leaf = last(cast.acme.id, "vote.refused")
    assert leaf["actor"]["name"] == "Alice"
    assert leaf["detail"]["reason"] == "requester"
    with in_workspace(cast.acme.id):
        assert not Vote.objects.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"displayed": "0" * 64}, Reason.DISPLAYED),
        ({"reauthenticated_at": NOW - timedelta(minutes=6)}, Reason.REAUTHENTICATE),
        ({"reauthenticated_at": NOW + timedelta(seconds=1)}, Reason.REAUTHENTICATE),
        ({"now": LATER}, Reason.SIGN_BY),
    ],
)
def test_signing_needs_the_card_the_password_and_time(
    cast: Cast, options: dict[str, Any], reason: Reason
) -> None:
    result = vote(cast, ask(cast), "bob", **options)
    assert result.refusal is not None
    assert result.refusal.reason is reason


def test_a_request_expires_when_someone_signs_too_late(cast: Cast) -> None:
    request = ask(cast)
    assert vote(cast, request, "bob", now=LATER).state == "expired"
    assert actions(cast.acme.id)[-2:] == ["vote.refused", "approval.expired"]


def test_the_sweep_expires_changes_and_leaves_runs_to_their_room(cast: Cast) -> None:
    of_run = ask(cast)
    change = ask(cast, kind=Kind.CHANGE, run_id=None, step=None)
    assert selectors.approvals_due(NOW) == []
    due = {item.request_id: item.run_id for item in selectors.approvals_due(LATER)}
    assert due == {of_run.id: of_run.run_id, change.id: None}
    assert approvals_expire(now=LATER) == 1
    assert (state(cast, of_run), state(cast, change)) == ("waiting", "expired")
    assert approval_expire(workspace_id=cast.acme.id, request_id=of_run.id, now=LATER)
    assert not approval_expire(workspace_id=cast.acme.id, request_id=of_run.id, now=LATER)


def test_a_signed_but_unused_request_expires_by_its_second_clock(cast: Cast) -> None:
    request = approved(cast)
    assert selectors.approvals_due(LATER) == []
    assert [item.request_id for item in selectors.approvals_due(MUCH_LATER)] == [request.id]
    assert approval_expire(workspace_id=cast.acme.id, request_id=request.id, now=MUCH_LATER)
    assert state(cast, request) == "expired"


def test_a_used_approval_neither_expires_nor_is_taken_back(cast: Cast) -> None:
    request = approved(cast)
    consume(cast, request)
    assert selectors.approvals_due(MUCH_LATER) == []
    end: dict[str, Any] = {"workspace_id": cast.acme.id, "request_id": request.id}
    assert not approval_expire(**end, now=MUCH_LATER)
    assert not approval_supersede(**end, now=NOW)
    assert not approval_cancel(**end, actor=cast.actor("alice"), now=NOW)
    assert state(cast, request) == "approved"


def test_a_cancelled_request_is_signed_by_nobody(cast: Cast) -> None:
    request = ask(cast)
    assert approval_cancel(
        workspace_id=cast.acme.id, request_id=request.id, actor=cast.actor("alice"), now=NOW
    )
    result = vote(cast, request, "bob")
    assert result.refusal is not None
    assert result.refusal.reason is Reason.STATE


def test_a_newer_request_takes_the_place_of_the_old_one(cast: Cast) -> None:
    old = ask(cast, barred=[str(cast.id("rita"))])
    new = ask(cast, supersedes=old.id, run_id=old.run_id)
    assert (state(cast, old), state(cast, new)) == ("superseded", "waiting")
    assert new.barred == [str(cast.id("rita"))]
    detail = selectors.request_detail(cast.acme.id, old.id, str(cast.id("bob")), NOW)
    assert detail is not None
    assert detail.superseded_by == new.id
    with pytest.raises(InvalidRequest):
        ask(cast, supersedes=old.id, run_id=old.run_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"requirement": []},
        {"binding": {}},
        {"binding": {"amount": float("inf")}},
        {"sign_by": NOW},
        {"execute_by": NOW + timedelta(hours=1)},
        {"requester": Actor("agent", str(uuid4()), "Agent")},
        {"requester": Actor("user", "alice", "Alice")},
    ],
)
def test_a_request_that_means_nothing_is_not_made(cast: Cast, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        ask(cast, **changes)


def test_asking_and_answering_keeps_the_clock_and_the_votes(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    common: dict[str, Any] = {"workspace_id": cast.acme.id, "request_id": request.id, "now": NOW}
    assert approval_ask(**common, asker=cast.actor("beth"), text="Which invoice?") is None
    assert state(cast, request) == "info_requested"
    assert approval_inform(**common, informer=cast.actor("alice"), text="Number 17.") is None
    assert vote(cast, request, "beth").completed
    detail = selectors.request_detail(cast.acme.id, request.id, str(cast.id("dan")), NOW)
    assert detail is not None
    assert [event.text for event in detail.events] == ["Which invoice?", "Number 17."]


def test_only_reviewers_ask_and_only_members_answer(cast: Cast) -> None:
    request = ask(cast)
    common: dict[str, Any] = {"workspace_id": cast.acme.id, "request_id": request.id, "now": NOW}
    asked = approval_ask(**common, asker=cast.actor("dan"), text="Why?")
    assert asked is not None
    assert asked.reason is Reason.ROLE
    assert approval_ask(**common, asker=cast.actor("bob"), text=" ") is not None
    assert approval_inform(**common, informer=cast.actor("alice"), text="So.") is not None
    approval_ask(**common, asker=cast.actor("bob"), text="Why?")
    told = approval_inform(**common, informer=cast.actor("mallory"), text="Just sign.")
    assert told is not None
    assert told.reason is Reason.ROLE


def hand_on(cast: Cast, request: ApprovalRequest, who: str, **changes: Any) -> Refusal | None:
    given: dict[str, Any] = {"reason": "I am away.", "now": NOW, **changes}
    return approval_reassign(
        workspace_id=cast.acme.id, request_id=request.id, actor=cast.actor(who), **given
    )


def test_a_request_is_handed_to_someone_who_may_sign(cast: Cast) -> None:
    request = ask(cast)
    assert hand_on(cast, request, "bob", to=str(cast.id("alice"))) is not None
    assert hand_on(cast, request, "bob", to=str(cast.id("mallory"))) is not None
    assert hand_on(cast, request, "bob", to=str(cast.id("beth")), reason=" ") is not None
    assert hand_on(cast, request, "bob", to=str(cast.id("beth"))) is None
    (row,) = selectors.queue(cast.acme.id, str(cast.id("beth")), NOW)
    assert (row.mine, row.ours) == (True, False)


def test_a_request_is_handed_to_a_group_and_back_to_one_person(cast: Cast) -> None:
    request = ask(cast)
    assert hand_on(cast, request, "bob", role="reviewer:security") is None
    (ritas,) = selectors.queue(cast.acme.id, str(cast.id("rita")), NOW)
    (beths,) = selectors.queue(cast.acme.id, str(cast.id("beth")), NOW)
    assert (ritas.mine, ritas.ours, beths.ours) == (False, True, False)
    leaf = last(cast.acme.id, "approval.reassigned")
    assert leaf["detail"]["to_role"] == "reviewer:security"
    assert "I am away." not in str(leaf)  # in its payload, encrypted
    with in_workspace(cast.acme.id):
        assert request.events.get().text == "reviewers of security: I am away."
    assert hand_on(cast, request, "rita", to=str(cast.id("beth"))) is None
    (ritas,) = selectors.queue(cast.acme.id, str(cast.id("rita")), NOW)
    assert not ritas.ours


def test_the_groups_that_can_be_asked_are_those_with_someone_who_may_sign(cast: Cast) -> None:
    request = ask(cast)
    found = selectors.eligible_groups(cast.acme.id, request.id, NOW)
    assert {role: [p.name for p in able] for role, able in found.items()} == {
        "reviewer:finance": ["Beth", "Bob", "Rita"],
        "reviewer:security": ["Rita"],
    }
    assert selectors.eligible_groups(cast.other.id, request.id, NOW) == {}


def test_the_queue_is_sorted_and_says_why_not(cast: Cast) -> None:
    soon = ask(cast, tier=2, sign_by=NOW + timedelta(hours=1))
    high = ask(cast, tier=4)
    late = ask(cast, tier=2, sign_by=NOW + timedelta(hours=3))
    vote(cast, high, "bob")
    rows = selectors.queue(cast.acme.id, str(cast.id("bob")), NOW)
    assert [row.request.id for row in rows] == [high.id, soon.id, late.id]
    assert [(row.signed, row.needed) for row in rows] == [(1, 2), (0, 2), (0, 2)]
    assert rows[0].refusal is not None
    assert rows[0].refusal.reason is Reason.ALREADY_VOTED
    assert rows[1].refusal is None
    alices = selectors.queue(cast.acme.id, str(cast.id("alice")), NOW)
    assert {row.refusal.reason for row in alices if row.refusal} == {Reason.REQUESTER}
    assert selectors.queue(cast.other.id, str(cast.id("mallory")), NOW) == []


def test_the_detail_shows_votes_and_whether_they_count(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    approval_edited(
        workspace_id=cast.acme.id, request_id=request.id, editor=cast.actor("bob"), now=NOW
    )
    detail = selectors.request_detail(cast.acme.id, request.id, str(cast.id("beth")), NOW)
    assert detail is not None
    assert [(item.vote.user_name, item.counts) for item in detail.votes] == [("Bob", False)]
    assert (detail.signed, detail.needed, detail.refusal) == (0, 2, None)
    assert selectors.request_detail(cast.other.id, request.id, str(cast.id("mallory")), NOW) is None


def test_what_stands_is_verified_again_before_each_further_effect(cast: Cast) -> None:
    request = approved(cast)
    consume(cast, request, consumer="worker-1")

    def verify(consumer: str = "worker-1", **changes: Any) -> Refusal | None:
        return approval_verify(
            workspace_id=cast.acme.id,
            request_id=request.id,
            **{"binding": BINDING, "consumer": consumer, "now": NOW, **changes},
        )

    assert verify() is None
    refused = [verify("worker-2"), verify(binding={"code": "x"}), verify(now=MUCH_LATER)]
    reasons = [item.reason for item in refused if item]
    assert reasons == [Reason.CONSUMED, Reason.BINDING, Reason.EXECUTE_BY]


@pytest.mark.parametrize("call", [approval_supersede, approval_expire])
def test_an_unknown_request_is_not_found(cast: Cast, call: Callable[..., bool]) -> None:
    with pytest.raises(NotFound):
        call(workspace_id=cast.acme.id, request_id=uuid4(), now=NOW)


def test_one_signature_is_enough_where_one_is_asked_for(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    assert vote(cast, request, "bob").completed
    other = ask(cast)

    def ids(**wanted: Any) -> list[UUID]:
        return [found.id for found in selectors.requests(cast.acme.id, **wanted)]

    assert ids(run_id=request.run_id) == [request.id]
    assert ids() == [other.id]
    assert ids(states=["approved"]) == [request.id]
    found = selectors.request(cast.acme.id, request.id)
    assert found is not None
    assert [vote.user_name for vote in found.votes.all()] == ["Bob"]
    assert selectors.request(cast.other.id, request.id) is None
