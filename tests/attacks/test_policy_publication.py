"""Putting another policy in force past tests, invariants, authors, or signatures altogether."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from audit.transactions import in_workspace
from policies import selectors
from policies.errors import Reason, Refusal
from policies.facts.record import ToolSpec
from policies.forms import RuleForm, append, write
from policies.forms.text import remove
from policies.models import ApprovalRequest, PolicyActivation, PolicySet, PolicyVersion
from policies.services import change_apply, policy_draft, policy_submit
from policies.starter import starter_text
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions
from tests.policies.approvals.asking import approved, consume, vote

TWO = write(RuleForm("two", "tier", {"tier": 3}, role="reviewer", quorum=2))
WEAK = remove(starter_text(), "tier-3-and-4")
PAY = ToolSpec("pay", "", "write", 3, frozenset(), {}, {}, False)


def draft(cast: Cast, who: str = "carol", **given: object) -> PolicyVersion:
    made = policy_draft(workspace_id=cast.acme.id, author=cast.actor(who), **given)  # type: ignore[arg-type]
    assert isinstance(made, PolicyVersion)
    return made


def submit(cast: Cast, version: PolicyVersion, **given: object) -> ApprovalRequest | Refusal:
    return policy_submit(
        workspace_id=cast.acme.id,
        version_id=version.id,
        submitter=cast.actor("carol"),
        now=NOW,
        **given,  # type: ignore[arg-type]
    )


def signed(cast: Cast, version: PolicyVersion, **given: object) -> ApprovalRequest:
    request = submit(cast, version, **given)
    assert isinstance(request, ApprovalRequest), request
    assert vote(cast, request, "chris").completed
    return request


def make(cast: Cast, request: ApprovalRequest) -> Refusal | None:
    return change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW)


def in_force(cast: Cast) -> int:
    return selectors.active_policy(cast.acme.id).number


def test_a_promise_and_what_it_guards_do_not_go_in_one_signature(cast: Cast) -> None:
    assert make(cast, signed(cast, draft(cast, invariants=[TWO]))) is None
    found = submit(cast, draft(cast, text=WEAK, invariants=[]))
    assert isinstance(found, Refusal)
    assert found.reason is Reason.NOT_READY
    assert actions(cast.acme.id)[-1] == "policy.refused"


def test_a_promise_in_shadow_of_another_name_guards_all_the_same(cast: Cast) -> None:
    assert make(cast, signed(cast, draft(cast, invariants=[TWO]))) is None
    trick = append(WEAK, TWO.replace("@id", "@shadow @id").replace('"two"', '"tier-3-and-4"'))
    assert isinstance(submit(cast, draft(cast, text=trick)), Refusal)


def test_two_officers_who_wrote_it_together_need_a_third(cast: Cast) -> None:
    one = draft(cast, "chris", text=starter_text() + "\n// one\n")
    two = draft(cast, "carol", text=one.text + "// two\n", parent_id=one.id)
    request = submit(cast, two)
    assert isinstance(request, ApprovalRequest)
    refusal = vote(cast, request, "chris").refusal
    assert refusal is not None
    assert refusal.reason is Reason.BARRED


def test_what_was_signed_for_other_tools_does_not_take_effect(cast: Cast) -> None:
    rule = '@id("p") forbid(principal, action == Action::"call:pay", resource);'
    text = append(starter_text(), rule)
    version = draft(cast, text=text, tools=[PAY])
    request = signed(cast, version, tools=[PAY])
    # By now no tool of that name is registered.
    refusal = make(cast, request)
    assert refusal is not None
    assert "cannot take effect" in refusal.sentence
    assert in_force(cast) == 1
    assert "policy.refused" in actions(cast.acme.id)[-3:]


def activation(cast: Cast, version: PolicyVersion, **given: object) -> None:
    with in_workspace(cast.acme.id), transaction.atomic():
        PolicyActivation.objects.create(
            workspace_id=cast.acme.id,
            policy_set=PolicySet.objects.get(),
            version=version,
            actor_name="x",
            **{"sequence": 2, **given},
        )


def test_the_database_refuses_a_version_that_nobody_signed(cast: Cast) -> None:
    version = draft(cast, text=starter_text() + "\n// x\n")
    waiting = submit(cast, version)
    assert isinstance(waiting, ApprovalRequest)
    for request_id in (waiting.id, uuid4()):
        with pytest.raises(IntegrityError):
            activation(cast, version, request_id=request_id)
    with pytest.raises(IntegrityError):
        activation(cast, version, sequence=1)
    assert in_force(cast) == 1


def test_the_database_refuses_a_signature_for_something_else(cast: Cast) -> None:
    mine = draft(cast, text=starter_text() + "\n// mine\n")
    other = signed(cast, draft(cast, text=starter_text() + "\n// other\n"))
    payment = approved(cast)
    consume(cast, payment)
    for request in (other, payment):
        with pytest.raises(IntegrityError, match="nobody signed"):
            activation(cast, mine, request_id=request.id)
    assert in_force(cast) == 1
