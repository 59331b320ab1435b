"""The life of a policy set: drafted, submitted, signed by a second officer, active."""

from typing import Any
from uuid import uuid4

import pytest

from audit.services import Actor
from countersign.accounts.models import Workspace
from policies import cases, selectors
from policies.engine import PolicyError
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.models import ApprovalRequest, PolicyActivation, PolicyVersion
from policies.services import (
    Change,
    change_request,
    policy_activate,
    policy_draft,
    policy_install_starter,
    policy_submit,
)
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import ONE_FINANCE, ask, vote

ONE_TEST = [cases.program("sums", "print(1)", "allow")]


def draft(cast: Cast, who: str = "carol", **changes: Any) -> PolicyVersion:
    text = selectors.active_policy(cast.acme.id).text + f"\n// {uuid4()}\n"
    version = policy_draft(
        workspace_id=cast.acme.id, author=cast.actor(who), **{"text": text, **changes}
    )
    assert isinstance(version, PolicyVersion)
    return version


def submit(cast: Cast, version: PolicyVersion, who: str = "carol") -> ApprovalRequest:
    request = policy_submit(
        workspace_id=cast.acme.id, version_id=version.id, submitter=cast.actor(who), now=NOW
    )
    assert isinstance(request, ApprovalRequest)
    return request


def activate(
    cast: Cast, request: ApprovalRequest, who: str = "chris"
) -> PolicyActivation | Refusal:
    return policy_activate(
        workspace_id=cast.acme.id, request_id=request.id, actor=cast.actor(who), now=NOW
    )


def test_a_new_workspace_has_the_starter_policy(cast: Cast) -> None:
    active = selectors.active_policy(cast.acme.id)
    assert active.number == 1
    assert active.text
    again = policy_install_starter(workspace_id=cast.acme.id, actor=cast.actor("carol"))
    assert again.sequence == 1
    assert actions(cast.acme.id)[:3] == [
        "workspace.created",
        "policy.drafted",
        "policy.activated",
    ]


def test_without_a_policy_nothing_is_decided(cast: Cast) -> None:
    empty = Workspace.objects.create(name="Empty", slug="empty")
    with pytest.raises(NotFound):
        selectors.active_policy(empty.id)
    with pytest.raises(NotFound):
        policy_submit(
            workspace_id=empty.id, version_id=uuid4(), submitter=cast.actor("carol"), now=NOW
        )


def test_a_second_officer_puts_a_version_in_force(cast: Cast) -> None:
    version = draft(cast, tests=ONE_TEST, note="Stricter")
    request = submit(cast, version)
    assert selectors.active_policy(cast.acme.id).number == 1
    assert request.displayed["difference"]
    assert vote(cast, request, "chris").completed
    activation = activate(cast, request)
    assert isinstance(activation, PolicyActivation)
    assert activation.sequence == 2
    active = selectors.active_policy(cast.acme.id)
    assert (active.version_id, active.digest) == (version.id, version.digest)
    assert last(cast.acme.id, "policy.activated")["detail"]["request"] == str(request.id)
    rows = {row.version.number: row for row in selectors.policy_versions(cast.acme.id)}
    assert rows[2].active
    assert not rows[1].active
    assert rows[1].activated is not None


@pytest.mark.parametrize("who", ["alice", "bob", "ada", "mallory"])
def test_only_officers_draft_submit_and_activate(cast: Cast, who: str) -> None:
    text = selectors.active_policy(cast.acme.id).text
    version = draft(cast)
    refusals = [
        policy_draft(workspace_id=cast.acme.id, author=cast.actor(who), text=text),
        policy_submit(
            workspace_id=cast.acme.id, version_id=version.id, submitter=cast.actor(who), now=NOW
        ),
        activate(cast, submit(cast, version), who),
    ]
    assert [item.reason for item in refusals if isinstance(item, Refusal)] == [Reason.ROLE] * 3
    assert actions(cast.acme.id).count("policy.refused") == 3


def test_neither_author_nor_submitter_is_the_second_officer(cast: Cast) -> None:
    request = submit(cast, draft(cast, "carol"), "chris")
    for name, reason in (("carol", Reason.BARRED), ("chris", Reason.REQUESTER)):
        result = vote(cast, request, name)
        assert result.refusal is not None
        assert result.refusal.reason is reason


def test_an_unsigned_version_is_not_activated(cast: Cast) -> None:
    refused = activate(cast, submit(cast, draft(cast)))
    assert isinstance(refused, Refusal)
    assert selectors.active_policy(cast.acme.id).number == 1


def test_one_signature_activates_once(cast: Cast) -> None:
    request = submit(cast, draft(cast))
    vote(cast, request, "chris")
    assert isinstance(activate(cast, request), PolicyActivation)
    again = activate(cast, request)
    assert isinstance(again, Refusal)


def test_rolling_back_is_a_new_approval(cast: Cast) -> None:
    first = selectors.active_policy(cast.acme.id)
    request = submit(cast, draft(cast))
    vote(cast, request, "chris")
    activate(cast, request)
    starter = selectors.policy_version(cast.acme.id, 1)
    assert starter is not None
    back = submit(cast, starter)
    vote(cast, back, "chris")
    activation = activate(cast, back)
    assert isinstance(activation, PolicyActivation)
    assert activation.sequence == 3
    assert selectors.active_policy(cast.acme.id) == first


def test_the_active_version_is_not_submitted_again(cast: Cast) -> None:
    active = selectors.active_policy(cast.acme.id)
    refused = policy_submit(
        workspace_id=cast.acme.id,
        version_id=active.version_id,
        submitter=cast.actor("carol"),
        now=NOW,
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.STATE


def test_a_text_that_is_no_policy_is_not_stored(cast: Cast) -> None:
    with pytest.raises(PolicyError):
        draft(cast, text="permit everything;")
    assert len(selectors.policy_versions(cast.acme.id)) == 1


def test_a_version_that_could_never_be_replaced_is_not_submitted(cast: Cast) -> None:
    version = draft(cast, text='@id("never") forbid(principal, action, resource);')
    refused = policy_submit(
        workspace_id=cast.acme.id, version_id=version.id, submitter=cast.actor("carol"), now=NOW
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.POLICY


def test_the_policy_in_force_decides_who_may_ask_for_a_change(cast: Cast) -> None:
    carol = cast.actor("carol")
    starter = selectors.active_policy(cast.acme.id).text
    only_carol = (
        '@id("only-carol") @reason("Carol changes tools.")'
        ' forbid(principal, action == Action::"change", resource)'
        f' when {{ context.change.kind == "tool" && principal != Person::"{carol.id}" }};'
    )
    request = submit(cast, draft(cast, text=f"{starter}\n{only_carol}\n"))
    vote(cast, request, "chris")
    activate(cast, request)
    change = Change(
        kind="tool",
        title="Tool payments.create becomes version 4.",
        notice="A tool waits for its new version.",
        tier=3,
        binding={"tool": "payments.create", "digest": "a" * 64},
        displayed={"difference": []},
    )

    def propose(who: str) -> ApprovalRequest | Refusal:
        return change_request(
            workspace_id=cast.acme.id, requester=cast.actor(who), change=change, now=NOW
        )

    refused = propose("alice")
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.POLICY
    assert actions(cast.acme.id)[-2:] == ["decision.made", "change.refused"]
    allowed = propose("carol")
    assert isinstance(allowed, ApprovalRequest)
    assert allowed.decision_id is not None
    decision = selectors.decision(cast.acme.id, allowed.decision_id)
    assert decision is not None
    assert (decision.action, decision.outcome) == ("change", "review")
    assert allowed.requirement == [{"role": "policy_officer", "count": 1}]
    own = vote(cast, allowed, "carol")
    assert own.refusal is not None
    assert vote(cast, allowed, "chris").completed


def test_a_request_about_a_run_activates_nothing(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    with pytest.raises(InvalidRequest):
        activate(cast, request)
    with pytest.raises(NotFound):
        policy_activate(
            workspace_id=cast.acme.id,
            request_id=uuid4(),
            actor=Actor("user", str(cast.id("chris")), "Chris"),
            now=NOW,
        )


def test_a_difference_is_shown_line_by_line() -> None:
    assert selectors.policy_diff("a\nb", "a\nc") == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]
    disguised = selectors.policy_diff("-- x\n++ y", "-- x\n++ z")
    assert disguised[1:] == [" -- x", "-++ y", "+++ z"]
