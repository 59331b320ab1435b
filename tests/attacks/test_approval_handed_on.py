"""Handing a request to whoever will sign it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.transactions import in_workspace
from policies.errors import Reason, Refusal
from policies.models import ApprovalRequest
from policies.services import approval_edited, approval_reassign
from tests.attacks.approval import execute
from tests.countersign.accounts.cast import NOW, Cast, appoint
from tests.countersign.accounts.log import last
from tests.policies.approvals.asking import ONE_FINANCE, ask, consume, state, vote


def hand_on(cast: Cast, request: ApprovalRequest, who: str, **changes: Any) -> Refusal | None:
    given: dict[str, Any] = {"role": "reviewer:finance", "reason": "Because.", "now": NOW}
    return approval_reassign(
        workspace_id=cast.acme.id,
        request_id=request.id,
        actor=cast.actor(who),
        **{**given, **changes},
    )


def refused(cast: Cast, refusal: Refusal | None) -> Reason:
    """Why; what was refused is in the log, and nobody new was asked."""
    assert refusal is not None
    assert last(cast.acme.id, "approval.refused")["detail"] == {
        **last(cast.acme.id, "approval.refused")["detail"],
        "attempt": "reassigned",
        "reason": refusal.reason.value,
    }
    with in_workspace(cast.acme.id):
        rows = ApprovalRequest.objects.values_list("assignee", "assignee_role")
        assert set(rows) <= {(None, "")}
    return refusal.reason


def test_the_requester_does_not_pick_the_countersigner(cast: Cast) -> None:
    request = ask(cast, requester=cast.actor("bob"))
    assert refused(cast, hand_on(cast, request, "bob")) is Reason.REQUESTER
    one = hand_on(cast, request, "bob", role="", to=str(cast.id("beth")))
    assert refused(cast, one) is Reason.REQUESTER


def test_an_author_or_editor_does_not_pick_the_countersigner(cast: Cast) -> None:
    written = ask(cast, barred=[str(cast.id("bob"))])
    assert refused(cast, hand_on(cast, written, "bob")) is Reason.BARRED
    edited = ask(cast)
    approval_edited(
        workspace_id=cast.acme.id, request_id=edited.id, editor=cast.actor("bob"), now=NOW
    )
    assert refused(cast, hand_on(cast, edited, "bob")) is Reason.BARRED


@pytest.mark.parametrize("who", ["alice", "carol", "dan", "ada", "mallory"])
def test_an_outsider_hands_nothing_on(cast: Cast, who: str) -> None:
    assert refused(cast, hand_on(cast, ask(cast, requester=cast.actor("chris")), who)) is (
        Reason.ROLE
    )


@pytest.mark.parametrize(
    "role",
    ["reviewer:elsewhere", "reviewer:", "reviewer", "policy_officer", "admin", "operator", "x"],
)
def test_only_a_group_that_may_sign_is_asked(cast: Cast, role: str) -> None:
    assert refused(cast, hand_on(cast, ask(cast), "bob", role=role)) is Reason.ROLE


def test_a_group_of_another_workspace_is_nobody_here(cast: Cast) -> None:
    """Mallory reviews for finance in her workspace, and for nobody in this one."""
    request = ask(cast, barred=[str(cast.id(name)) for name in ("beth", "rita")])
    assert refused(cast, hand_on(cast, request, "bob")) is Reason.ROLE


def test_a_group_of_oneself_alone_is_nobody(cast: Cast) -> None:
    request = ask(cast)
    assert refused(cast, hand_on(cast, request, "rita", role="reviewer:security")) is Reason.ROLE


def test_a_person_and_a_group_at_once_is_neither(cast: Cast) -> None:
    both = hand_on(cast, ask(cast), "bob", to=str(cast.id("beth")))
    assert refused(cast, both) is Reason.INCOMPLETE


def test_being_asked_lets_nobody_sign_who_may_not(cast: Cast) -> None:
    """A member of the group without the required role is not mailed, and cannot sign."""
    appoint(cast, "dan", "auditor", "reviewer:security")
    request = ask(cast, requirement=ONE_FINANCE)
    assert hand_on(cast, request, "bob", role="reviewer:security") is None
    result = vote(cast, request, "dan")
    assert result.refusal is not None
    assert result.refusal.reason is Reason.ROLE
    assert last(cast.acme.id, "approval.reassigned")["detail"]["able"] == 1  # Rita alone


def test_handing_on_weakens_no_quorum(cast: Cast) -> None:
    request = ask(cast)
    before = (request.requirement, request.binding_digest, request.sign_by, request.execute_by)
    assert hand_on(cast, request, "bob", role="reviewer:security") is None
    with in_workspace(cast.acme.id):
        now = ApprovalRequest.objects.get(id=request.id)
    assert (now.requirement, now.binding_digest, now.sign_by, now.execute_by) == before
    assert not vote(cast, request, "rita").completed
    assert isinstance(consume(cast, request), Refusal)
    assert vote(cast, request, "beth").completed  # nobody was shut out
    assert state(cast, request) == "approved"


def test_what_is_closed_or_late_is_not_handed_on(cast: Cast) -> None:
    late = hand_on(cast, ask(cast), "bob", now=NOW + timedelta(hours=5))
    assert refused(cast, late) is Reason.SIGN_BY
    request = ask(cast)
    for name in ("bob", "beth"):
        vote(cast, request, name)
    assert refused(cast, hand_on(cast, request, "bob")) is Reason.STATE


def test_the_database_keeps_one_asked_at_a_time(cast: Cast) -> None:
    request = ask(cast)
    with pytest.raises(IntegrityError, match="asked_one"), transaction.atomic():
        execute(
            cast.acme.id,
            "UPDATE policies_approvalrequest"
            " SET assignee_role = 'reviewer:x', assignee_id = %(who)s WHERE id = %(id)s",
            id=request.id,
            who=cast.id("beth"),
        )
