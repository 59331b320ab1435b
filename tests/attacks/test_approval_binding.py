"""Running something other than what was signed."""

import pytest
from django.db import IntegrityError, ProgrammingError, transaction

from policies.errors import Reason, Refusal
from tests.attacks.approval import execute, forge_vote
from tests.countersign.accounts.cast import Cast
from tests.policies.approvals.asking import BINDING, approved, ask, consume, state


@pytest.mark.parametrize(
    "changed",
    [
        {**BINDING, "manifest": "e" * 64},
        {**BINDING, "code": "e" * 64},
        {**BINDING, "agent": "payables@4"},
        {**BINDING, "tools": {"payments.create": "redefined under the same name"}},
        {key: value for key, value in BINDING.items() if key != "manifest"},
        {},
        {"manifest": float("nan")},
    ],
)
def test_edited_after_signing_does_not_run(cast: Cast, changed: dict[str, object]) -> None:
    request = approved(cast)
    refused = consume(cast, request, binding=changed)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.BINDING
    assert state(cast, request) == "approved"


def test_the_approval_of_one_request_is_not_good_for_another(cast: Cast) -> None:
    small = approved(cast)
    large = ask(cast, binding={**BINDING, "manifest": "f" * 64})
    refused = consume(cast, large, binding=large.binding)
    assert isinstance(refused, Refusal)
    swapped = consume(cast, small, binding=large.binding)
    assert isinstance(swapped, Refusal)
    assert swapped.reason is Reason.BINDING


def test_the_same_content_in_another_run_is_another_request(cast: Cast) -> None:
    assert ask(cast).binding_digest != ask(cast).binding_digest


@pytest.mark.parametrize(
    "change",
    [
        'binding = \'{"code": "x"}\'',
        "binding_digest = repeat('0', 64)",
        'requirement = \'[{"role": "operator", "count": 1}]\'',
        "barred = '{}', requester_id = 'nobody'",
        "displayed = '{}'",
        "displayed = (displayed::text || ' ')::json",
        "title = 'Harmless'",
        "tier = 0",
        "policy_version_id = gen_random_uuid()",
        "sign_by = sign_by + interval '1 year', execute_by = execute_by + interval '1 year'",
        "workspace_id = gen_random_uuid()",
    ],
)
def test_the_database_keeps_what_was_signed(cast: Cast, change: str) -> None:
    request = approved(cast)
    update = f"UPDATE policies_approvalrequest SET {change} WHERE id = %(id)s"
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        execute(cast.acme.id, update, id=request.id)


@pytest.mark.parametrize(
    "table",
    [
        "policies_approvalrequest",
        "policies_approval",
        "policies_vote",
        "policies_decisionrecord",
        "policies_policyversion",
        "policies_policyactivation",
    ],
)
def test_evidence_is_not_deleted(cast: Cast, table: str) -> None:
    approved(cast)
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
            execute(cast.acme.id, statement)


def test_a_vote_is_not_edited(cast: Cast) -> None:
    approved(cast)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        execute(cast.acme.id, "UPDATE policies_vote SET binding_digest = repeat('0', 64)")


def test_a_signature_on_something_else_is_not_taken(cast: Cast) -> None:
    request = ask(cast)
    for column in ("binding", "displayed"):
        with pytest.raises(IntegrityError, match="does not take"), transaction.atomic():
            forge_vote(request, cast.id("bob"), **{column: "0" * 64})
