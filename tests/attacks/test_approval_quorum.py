"""A quorum of fewer people than it asks for."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from countersign.accounts.models import User
from countersign.accounts.services import member_remove
from policies import selectors
from policies.errors import Reason, Refusal
from policies.models import Approval, ApprovalRequest
from tests.attacks.approval import at_once, execute, forge_vote
from tests.countersign.accounts.cast import NOW, Cast, appoint
from tests.policies.approvals.asking import approved, ask, consume, state, vote

TWO_GROUPS = (
    {"role": "reviewer:finance", "count": 1},
    {"role": "reviewer:security", "count": 1},
)


def take_role(cast: Cast, name: str) -> None:
    appoint(cast, name, "auditor")


def complete(request: ApprovalRequest) -> int:
    """Insert an approval without asking the service."""
    return execute(
        request.workspace_id,
        "INSERT INTO policies_approval (id, workspace_id, request_id, completed_at, consumed_by)"
        " VALUES (%(id)s, %(workspace)s, %(request)s, now(), '')",
        id=uuid4(),
        workspace=request.workspace_id,
        request=request.id,
    )


def test_one_person_twice_is_one_person(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    again = vote(cast, request, "bob")
    assert again.refusal is not None
    assert again.refusal.reason is Reason.ALREADY_VOTED
    assert state(cast, request) == "waiting"


def test_the_database_refuses_the_same_person_twice(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    with pytest.raises(IntegrityError, match="policies_vote_once"), transaction.atomic():
        forge_vote(request, cast.id("bob"))


@pytest.mark.parametrize("name", ["dan", "ada", "carol"])
def test_the_database_refuses_a_member_without_the_role(cast: Cast, name: str) -> None:
    request = ask(cast)
    with pytest.raises(IntegrityError, match="holds no role"), transaction.atomic():
        forge_vote(request, cast.id(name))


def test_any_group_serves_where_any_reviewer_is_asked_for(cast: Cast) -> None:
    request = ask(cast, requirement=({"role": "reviewer", "count": 2},))
    assert forge_vote(request, cast.id("rita")) == 1


def test_the_database_refuses_a_quorum_of_the_wrong_group(cast: Cast) -> None:
    request = ask(cast, requirement=TWO_GROUPS)
    for name in ("bob", "beth"):
        forge_vote(request, cast.id(name))
    with pytest.raises(IntegrityError, match="too few signers"), transaction.atomic():
        complete(request)
    forge_vote(request, cast.id("rita"))
    assert complete(request) == 1


def test_the_database_refuses_a_quorum_of_somebody_who_lost_the_role(cast: Cast) -> None:
    request = ask(cast)
    for name in ("bob", "beth"):
        forge_vote(request, cast.id(name))
    take_role(cast, "beth")
    with pytest.raises(IntegrityError, match="too few signers"), transaction.atomic():
        complete(request)


def test_one_person_with_two_roles_is_one_person(cast: Cast) -> None:
    request = ask(cast, requirement=TWO_GROUPS)
    assert not vote(cast, request, "rita").completed
    assert vote(cast, request, "bob").completed


def test_two_of_one_group_do_not_make_two_groups(cast: Cast) -> None:
    request = ask(cast, requirement=TWO_GROUPS)
    vote(cast, request, "bob")
    assert not vote(cast, request, "beth").completed


def test_time_never_completes_a_quorum(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    late = vote(cast, request, "beth", now=request.sign_by + timedelta(seconds=1))
    assert not late.completed
    assert late.state == "expired"
    assert isinstance(consume(cast, request, now=request.execute_by), Refusal)


def test_nothing_runs_on_one_signature_of_two(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.STATE


def test_a_vote_of_someone_who_lost_the_role_does_not_count(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    take_role(cast, "bob")
    assert not vote(cast, request, "beth").completed
    assert vote(cast, request, "rita").completed


def test_a_vote_of_someone_who_left_does_not_count(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=cast.id("bob"))
    assert not vote(cast, request, "beth").completed


def test_a_vote_of_a_deactivated_person_does_not_count(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    User.objects.filter(username="bob").update(is_active=False)
    assert not vote(cast, request, "beth").completed


def test_a_role_lost_after_completion_stops_the_use(cast: Cast) -> None:
    request = approved(cast)
    take_role(cast, "beth")
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.VOTER_INELIGIBLE


def test_the_database_refuses_an_approval_without_a_quorum(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    with pytest.raises(IntegrityError, match="not signed by enough"), transaction.atomic():
        complete(request)


def test_the_database_refuses_the_word_approved_without_an_approval(cast: Cast) -> None:
    request = ask(cast)
    update = "UPDATE policies_approvalrequest SET state = 'approved' WHERE id = %(request)s"
    with pytest.raises(IntegrityError, match="without an approval"), transaction.atomic():
        execute(cast.acme.id, update, request=request.id)


def test_two_last_votes_at_once_complete_it_once(committing_cast: Cast) -> None:
    cast = committing_cast
    request = ask(cast)
    results = at_once(
        lambda: vote(cast, request, "bob"),
        lambda: vote(cast, request, "beth"),
        lambda: vote(cast, request, "rita"),
    )
    assert sum(result.completed for result in results) == 1
    assert sorted(result.refusal is None for result in results) == [False, True, True]
    detail = selectors.request_detail(cast.acme.id, request.id, str(cast.id("dan")), NOW)
    assert detail is not None
    assert isinstance(detail.approval, Approval)
    assert len(detail.votes) == 2


def test_one_person_in_two_browsers_at_once_votes_once(committing_cast: Cast) -> None:
    cast = committing_cast
    request = ask(cast)
    results = at_once(*[lambda: vote(cast, request, "bob")] * 4)
    assert sum(result.refusal is None for result in results) == 1
    assert not any(result.completed for result in results)
