"""Using an approval twice, too late, or under another policy."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.transactions import in_workspace
from policies import selectors
from policies.errors import Reason, Refusal
from policies.models import Approval, PolicyActivation, PolicyVersion
from policies.services import (
    approval_cancel,
    approval_supersede,
    approval_verify,
    policy_activate,
    policy_draft,
    policy_submit,
)
from tests.attacks.approval import at_once, execute
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions
from tests.policies.approvals.asking import BINDING, approved, ask, consume, state, vote


def ready_change(cast: Cast) -> Any:
    """A signed request for another policy version, not activated yet."""
    text = selectors.active_policy(cast.acme.id).text + "\n// changed\n"
    version = policy_draft(workspace_id=cast.acme.id, author=cast.actor("carol"), text=text)
    assert isinstance(version, PolicyVersion)
    change = policy_submit(
        workspace_id=cast.acme.id, version_id=version.id, submitter=cast.actor("carol"), now=NOW
    )
    assert not isinstance(change, Refusal)
    assert vote(cast, change, "chris").completed
    return change


def activate(cast: Cast, change: Any) -> PolicyActivation | Refusal:
    return policy_activate(
        workspace_id=cast.acme.id, request_id=change.id, actor=cast.actor("chris"), now=NOW
    )


def test_a_second_use_is_refused_and_recorded(cast: Cast) -> None:
    request = approved(cast)
    assert isinstance(consume(cast, request), Approval)
    again = consume(cast, request)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.CONSUMED
    assert actions(cast.acme.id)[-1] == "approval.refused"


def test_the_database_refuses_to_hand_an_approval_back(cast: Cast) -> None:
    request = approved(cast)
    consume(cast, request)
    for change in ("consumed_at = NULL, consumed_by = ''", "consumed_by = 'worker-2'"):
        with pytest.raises(IntegrityError, match="used once"), transaction.atomic():
            execute(cast.acme.id, f"UPDATE policies_approval SET {change}")


def test_two_workers_racing_use_it_once(committing_cast: Cast) -> None:
    cast = committing_cast
    request = approved(cast)
    results = at_once(
        *[
            lambda number=number: consume(cast, request, consumer=f"worker-{number}")
            for number in range(6)
        ]
    )
    used = [result for result in results if isinstance(result, Approval)]
    refused = [result.reason for result in results if isinstance(result, Refusal)]
    assert len(used) == 1
    assert refused == [Reason.CONSUMED] * 5
    with in_workspace(cast.acme.id):
        assert Approval.objects.get().consumed_by == used[0].consumed_by
    assert actions(cast.acme.id).count("approval.consumed") == 1


def test_after_execute_by_it_is_refused_and_expires(cast: Cast) -> None:
    request = approved(cast)
    refused = consume(cast, request, now=request.execute_by + timedelta(microseconds=1))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.EXECUTE_BY
    assert state(cast, request) == "expired"
    assert actions(cast.acme.id)[-2:] == ["approval.refused", "approval.expired"]
    assert isinstance(consume(cast, request), Refusal)


def test_the_database_refuses_a_late_use(cast: Cast) -> None:
    request = approved(cast)
    late = (
        "UPDATE policies_approval SET consumed_by = 'w', consumed_at ="
        " (SELECT execute_by + interval '1 second' FROM policies_approvalrequest"
        " WHERE id = %(id)s)"
    )
    with pytest.raises(IntegrityError, match="does not stand"), transaction.atomic():
        execute(cast.acme.id, late, id=request.id)


def test_expiry_while_executing_stops_the_next_effect(cast: Cast) -> None:
    request = approved(cast)
    consume(cast, request)
    refused = approval_verify(
        workspace_id=cast.acme.id,
        request_id=request.id,
        binding=BINDING,
        consumer="worker-1",
        now=request.execute_by + timedelta(seconds=1),
    )
    assert refused is not None
    assert refused.reason is Reason.EXECUTE_BY


def test_a_policy_changed_after_signing_stops_the_use(cast: Cast) -> None:
    request = approved(cast)
    assert isinstance(activate(cast, ready_change(cast)), PolicyActivation)
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.POLICY_CHANGED
    renewed = ask(cast, supersedes=request.id, run_id=request.run_id)
    assert (state(cast, request), state(cast, renewed)) == ("superseded", "waiting")


def test_a_change_signed_against_another_base_is_not_activated(cast: Cast) -> None:
    first, second = ready_change(cast), ready_change(cast)
    assert isinstance(activate(cast, first), PolicyActivation)
    refused = activate(cast, second)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.POLICY_CHANGED


def test_two_changes_activated_at_once_do_not_overwrite_each_other(committing_cast: Cast) -> None:
    cast = committing_cast
    first, second = ready_change(cast), ready_change(cast)
    results = at_once(lambda: activate(cast, first), lambda: activate(cast, second))
    refused = [result.reason for result in results if isinstance(result, Refusal)]
    assert refused == [Reason.POLICY_CHANGED]
    assert actions(cast.acme.id).count("policy.activated") == 2


def test_activation_and_use_at_once_have_one_order(committing_cast: Cast) -> None:
    cast = committing_cast
    request, change = approved(cast), ready_change(cast)
    used, activated = at_once(lambda: consume(cast, request), lambda: activate(cast, change))
    assert isinstance(activated, PolicyActivation)
    log = actions(cast.acme.id)
    if isinstance(used, Approval):
        assert "approval.refused" not in log
    else:
        assert isinstance(used, Refusal)
        assert used.reason is Reason.POLICY_CHANGED


def test_taken_back_and_used_at_once_is_one_of_the_two(committing_cast: Cast) -> None:
    cast = committing_cast
    request = approved(cast)
    used, superseded = at_once(
        lambda: consume(cast, request),
        lambda: approval_supersede(workspace_id=cast.acme.id, request_id=request.id, now=NOW),
    )
    assert isinstance(used, Approval) != superseded


def test_stopping_the_run_takes_a_signed_approval_back(cast: Cast) -> None:
    request = approved(cast)
    assert approval_cancel(
        workspace_id=cast.acme.id, request_id=request.id, actor=cast.actor("alice"), now=NOW
    )
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.STATE
