"""Reaching a request from another workspace."""

from typing import Any

import pytest

from countersign.accounts.services import PersonDraft, workspace_prepare
from policies import selectors
from policies.errors import NotFound, Reason
from policies.services import approval_consume, approval_reassign
from tests.attacks.approval import execute
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import last
from tests.policies.approvals.asking import BINDING, ONE_FINANCE, approved, ask, vote


def test_a_reviewer_of_elsewhere_is_no_reviewer_here(cast: Cast) -> None:
    result = vote(cast, ask(cast, requirement=ONE_FINANCE), "mallory")
    assert result.refusal is not None
    assert result.refusal.reason is Reason.ROLE


def test_from_ones_own_workspace_the_request_is_not_there(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    result = vote(cast, request, "mallory", workspace_id=cast.other.id)
    assert result.refusal is not None
    assert result.refusal.reason is Reason.NOT_FOUND
    assert result.state is None
    assert last(cast.other.id, "vote.refused")["detail"]["reason"] == "not_found"
    mallory = str(cast.id("mallory"))
    assert selectors.queue(cast.other.id, mallory, NOW) == []
    assert selectors.request_detail(cast.other.id, request.id, mallory, NOW) is None
    assert selectors.requests(cast.other.id, run_id=request.run_id) == []
    assert selectors.request(cast.other.id, request.id) is None


def test_an_approval_is_not_used_from_elsewhere(cast: Cast) -> None:
    request = approved(cast)
    elsewhere: dict[str, Any] = {"workspace_id": cast.other.id, "request_id": request.id}
    with pytest.raises(NotFound):
        approval_consume(**elsewhere, binding=BINDING, consumer="w", now=NOW)
    with pytest.raises(NotFound):
        approval_reassign(**elsewhere, actor=cast.actor("mallory"), to="x", reason="y", now=NOW)


def test_a_guest_of_both_signs_only_with_the_role_of_the_place(cast: Cast) -> None:
    dan = PersonDraft("dan", "Dan", "dan@example.org", ["reviewer:finance"])
    workspace_prepare(name="Third", slug="third", people=[dan])
    result = vote(cast, ask(cast, requirement=ONE_FINANCE), "dan")
    assert result.refusal is not None
    assert result.refusal.reason is Reason.ROLE


@pytest.mark.parametrize(
    "table", ["policies_approvalrequest", "policies_vote", "policies_approval"]
)
def test_sql_in_another_workspace_finds_nothing(cast: Cast, table: str) -> None:
    approved(cast)
    assert execute(cast.acme.id, f"SELECT id FROM {table}") > 0
    assert execute(cast.other.id, f"SELECT id FROM {table}") == 0
