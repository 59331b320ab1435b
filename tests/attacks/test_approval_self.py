"""Signing what one asked for, wrote, edited, or had asked for: by every path we can think of."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit.services import Actor
from countersign.accounts.models import ServiceAccount
from countersign.accounts.services import (
    IssuedToken,
    service_account_create,
    token_issue,
)
from policies.errors import Reason, Refusal
from policies.models import Answer
from policies.services import VoteResult, approval_edited
from policies.tasks import notify_reviewers
from tests.attacks.approval import forge_vote
from tests.countersign.accounts.cast import NOW, Cast, appoint
from tests.policies.approvals.asking import ONE_FINANCE, ask, consume, state, vote

SYSTEM = Actor("system", "command-line", "Command line")


def reason(result: VoteResult) -> Reason | None:
    return None if result.refusal is None else result.refusal.reason


def test_the_requester_cannot_sign_even_as_a_reviewer(cast: Cast) -> None:
    request = ask(cast, requester=cast.actor("bob"), requirement=ONE_FINANCE)
    assert reason(vote(cast, request, "bob")) is Reason.REQUESTER
    assert state(cast, request) == "waiting"


def test_an_administrator_has_no_way_around(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    assert reason(vote(cast, request, "ada")) is Reason.ROLE


def test_a_role_gained_after_asking_does_not_help_the_requester(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    appoint(cast, "alice", "operator", "reviewer:finance", "admin")
    assert reason(vote(cast, request, "alice")) is Reason.REQUESTER


def test_the_author_cannot_sign(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE, barred=[str(cast.id("bob"))])
    assert reason(vote(cast, request, "bob")) is Reason.BARRED


def test_the_editor_loses_the_right_and_the_vote_already_given(cast: Cast) -> None:
    request = ask(cast)
    vote(cast, request, "bob")
    approval_edited(
        workspace_id=cast.acme.id, request_id=request.id, editor=cast.actor("bob"), now=NOW
    )
    assert not vote(cast, request, "beth").completed
    assert state(cast, request) == "waiting"


def test_the_editor_cannot_sign_the_edited_request_either(cast: Cast) -> None:
    old = ask(cast, requirement=ONE_FINANCE)
    approval_edited(workspace_id=cast.acme.id, request_id=old.id, editor=cast.actor("bob"), now=NOW)
    new = ask(cast, requirement=ONE_FINANCE, supersedes=old.id, run_id=old.run_id)
    newest = ask(cast, requirement=ONE_FINANCE, supersedes=new.id, run_id=old.run_id)
    assert reason(vote(cast, new, "bob")) is Reason.STATE
    assert reason(vote(cast, newest, "bob")) is Reason.BARRED


def test_asking_through_an_account_one_made_is_asking_oneself(cast: Cast) -> None:
    # Ada also reviews; she makes a service account, lets it ask, and wants to sign.
    appoint(cast, "alice", "operator", "admin")
    appoint(cast, "ada", "admin", "reviewer:finance", by="alice")
    account = service_account_create(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), name="Mine"
    )
    assert isinstance(account, ServiceAccount)
    robot = Actor("service", str(account.id), account.name)
    request = ask(cast, requester=robot, requirement=ONE_FINANCE)
    assert reason(vote(cast, request, "ada")) is Reason.BARRED
    assert vote(cast, request, "bob").completed


def test_taking_a_token_after_asking_bars_too(cast: Cast) -> None:
    account = service_account_create(workspace_id=cast.acme.id, actor=SYSTEM, name="Billing")
    assert isinstance(account, ServiceAccount)
    robot = Actor("service", str(account.id), account.name)
    request = ask(cast, requester=robot, requirement=ONE_FINANCE)
    appoint(cast, "bob", "admin", "reviewer:finance")
    issued = token_issue(
        workspace_id=cast.acme.id,
        actor=cast.actor("bob"),
        service_account_id=account.id,
        name="mine",
        scopes=["runs:start"],
        expires=NOW + timedelta(days=1),
        now=NOW,
    )
    assert isinstance(issued, IssuedToken)
    assert reason(vote(cast, request, "bob")) is Reason.BARRED


def test_a_program_cannot_vote(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    account = service_account_create(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), name="Robot"
    )
    assert isinstance(account, ServiceAccount)
    robot = Actor("service", str(account.id), "Bob")
    for voter in (robot, replace(robot, type="user"), Actor("agent", str(cast.id("bob")), "Bob")):
        assert reason(vote(cast, request, voter)) is Reason.NOT_A_PERSON


def test_another_spelling_of_ones_id_is_still_oneself(cast: Cast) -> None:
    bob = cast.actor("bob")
    shouted = Actor("user", bob.id.upper(), bob.name)
    request = ask(cast, requester=shouted, requirement=ONE_FINANCE)
    for voter in (bob, shouted, Actor("user", bob.id.replace("-", ""), "Somebody")):
        assert reason(vote(cast, request, voter)) is Reason.REQUESTER


def test_a_borrowed_name_is_not_recorded(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    result = vote(cast, request, Actor("user", str(cast.id("bob")), "Carol"))
    assert result.vote is not None
    assert result.vote.user_name == "Bob"


def test_the_database_refuses_a_forged_self_approval(cast: Cast) -> None:
    request = ask(cast, barred=[str(cast.id("rita"))])
    approval_edited(
        workspace_id=cast.acme.id, request_id=request.id, editor=cast.actor("beth"), now=NOW
    )
    for name in ("alice", "rita", "beth", "mallory"):
        with pytest.raises(IntegrityError, match="may not vote"), transaction.atomic():
            forge_vote(request, cast.id(name))


def test_a_rejected_request_is_never_used(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    vote(cast, request, "bob", Answer.REJECT, comment="No.")
    assert reason(vote(cast, request, "beth")) is Reason.STATE
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.STATE


def test_mail_cannot_sign_and_goes_to_nobody_who_may_not(
    cast: Cast, mailoutbox: list[object]
) -> None:
    request = ask(cast, barred=[str(cast.id("rita"))])
    notify_reviewers(str(cast.acme.id), str(request.id))
    recipients = sorted(address for mail in mailoutbox for address in mail.to)  # type: ignore[attr-defined]
    assert recipients == ["beth@example.org", "bob@example.org"]
