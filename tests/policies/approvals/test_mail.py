"""Mail to reviewers: that something waits, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage

from audit.services import Actor
from countersign.accounts.models import ServiceAccount
from countersign.accounts.services import service_account_create
from policies import tasks
from policies.models import Answer, ApprovalState, Kind
from policies.services import (
    approval_ask,
    approval_cancel,
    approval_expire,
    approval_inform,
    approval_reassign,
    approval_supersede,
)
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import ask, vote


def test_each_reviewer_gets_one_mail_without_personal_data(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    request = ask(cast)
    for _ in range(2):
        tasks.notify_reviewers(str(cast.acme.id), str(request.id))
    assert sorted(mail.to for mail in mailoutbox) == [
        ["beth@example.org"],
        ["bob@example.org"],
        ["rita@example.org"],
    ]
    mail = mailoutbox[0]
    assert mail.subject == "High risk: Accounts payable: Payments wait for a countersignature."
    assert f"/w/acme/approvals/{request.id}/\n" in mail.body
    assert "Workspace: Acme\nAgent: Accounts payable\nRisk: high\n" in mail.body
    for private in ("1,200", "Alice", "bob@"):
        assert private not in mail.subject + mail.body
    detail = last(cast.acme.id, "approval.notified")["detail"]
    assert sorted(detail["people"]) == sorted(str(cast.id(n)) for n in ("bob", "beth", "rita"))


def test_a_title_cannot_add_headers(cast: Cast, mailoutbox: list[EmailMessage]) -> None:
    request = ask(cast, agent_name="Agent\nBcc: all@example.org")
    tasks.notify_reviewers(str(cast.acme.id), str(request.id))
    assert {mail.subject for mail in mailoutbox} == {
        "High risk: Agent Bcc: all@example.org: Payments wait for a countersignature."
    }


def test_an_agent_is_named_once(cast: Cast, mailoutbox: list[EmailMessage]) -> None:
    request = ask(cast, agent_name="Helpdesk v2", notice="Helpdesk: Answer")
    tasks.notify_reviewers(str(cast.acme.id), str(request.id))
    assert {mail.subject for mail in mailoutbox} == {"High risk: Helpdesk: Answer"}


def test_nobody_is_told_of_what_is_closed(cast: Cast, mailoutbox: list[EmailMessage]) -> None:
    request = ask(cast)
    for name in ("bob", "beth"):
        vote(cast, request, name)
    tasks.notify_reviewers(str(cast.acme.id), str(request.id))
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("minutes", "sent"), [(0, []), (2, ["notified"]), (200, ["notified", "reminded"])]
)
def test_the_sweep_sends_what_was_lost_and_reminds_in_the_last_quarter(
    cast: Cast, mailoutbox: list[EmailMessage], minutes: int, sent: list[str]
) -> None:
    ask(cast)
    for _ in range(2):
        tasks.sweep_at(NOW + timedelta(minutes=minutes))
    found = [action.split(".")[1] for action in actions(cast.acme.id)]
    assert [word for word in found if word in ("notified", "reminded")] == sent
    reminders = [mail for mail in mailoutbox if mail.subject.startswith("Reminder: ")]
    assert len(reminders) == (5 if "reminded" in sent else 0)


def test_a_question_is_mailed_to_whoever_asked_and_its_answer_to_the_reviewer(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    request = ask(cast)
    ids = (str(cast.acme.id), str(request.id))
    question = "Why is Kessler paid 1,200 twice?"
    asked: Any = {"workspace_id": cast.acme.id, "request_id": request.id, "now": NOW}
    assert approval_ask(**asked, asker=cast.actor("bob"), text=question) is None
    tasks.notify_question(*ids)
    tasks.notify_answer(*ids)
    [mail] = mailoutbox
    assert mail.to == ["alice@example.org"]
    assert mail.subject.startswith("Question: High risk: ")
    assert "A reviewer asks something. Read it and answer:\n" in mail.body
    answer = "It is two invoices."
    assert approval_inform(**asked, informer=cast.actor("alice"), text=answer) is None
    tasks.notify_question(*ids)
    tasks.notify_answer(*ids)
    [_, told] = mailoutbox
    assert told.to == ["bob@example.org"]
    assert told.subject.startswith("Answered: High risk: ")
    for private in ("Kessler", "1,200", "Bob", "Alice", "invoices"):
        assert private not in f"{mail.subject} {mail.body} {told.subject} {told.body}"
    sent = [a for a in actions(cast.acme.id) if a.endswith("_sent")]
    assert sent == ["approval.question_sent", "approval.answer_sent"]


def test_what_a_program_asked_for_is_asked_of_the_people_behind_it(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    account = service_account_create(
        workspace_id=cast.acme.id, name="robot", actor=cast.actor("ada")
    )
    assert isinstance(account, ServiceAccount)
    request = ask(cast, requester=Actor("service", str(account.id), "robot"))
    asked: Any = {"workspace_id": cast.acme.id, "request_id": request.id, "now": NOW}
    assert approval_ask(**asked, asker=cast.actor("bob"), text="Why?") is None
    tasks.notify_question(str(cast.acme.id), str(request.id))
    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]]


def test_a_group_is_mailed_as_far_as_it_may_sign_without_personal_data(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    request = ask(cast)
    bob = cast.actor("bob")
    approval_reassign(
        workspace_id=cast.acme.id,
        request_id=request.id,
        actor=bob,
        role="reviewer:finance",
        reason="Beth knows Kessler.",
        now=NOW,
    )
    vote(cast, request, "rita")
    tasks.notify_assignee(str(cast.acme.id), str(request.id), bob.id)
    [mail] = mailoutbox
    assert mail.to == ["beth@example.org"]
    assert mail.subject.startswith("Handed to your group: High risk")
    for private in ("Kessler", "Alice", "Bob", "1,200"):
        assert private not in f"{mail.subject} {mail.body}"
    assert last(cast.acme.id, "approval.handed_on")["detail"]["people"] == [str(cast.id("beth"))]


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        (ApprovalState.REJECTED, "Rejected: High risk: Accounts payable: Payments wait"),
        (ApprovalState.EXPIRED, "Expired: High risk: Accounts payable: Payments wait"),
    ],
)
def test_whoever_asked_is_told_how_it_ended_without_personal_data(
    cast: Cast, mailoutbox: list[EmailMessage], state: ApprovalState, subject: str
) -> None:
    request = ask(cast)
    if state is ApprovalState.REJECTED:
        vote(cast, request, "bob", Answer.REJECT, comment="Norr AB is not due.")
    else:
        approval_expire(
            workspace_id=cast.acme.id, request_id=request.id, now=NOW + timedelta(hours=5)
        )
    tasks.notify_end(str(cast.acme.id), str(request.id))
    [mail] = mailoutbox
    assert mail.to == ["alice@example.org"]
    assert str(mail.subject).startswith(subject)
    assert "Sign by" not in mail.body
    assert "nothing left to sign" in mail.body
    for private in ("1,200", "Alice", "Bob", "Norr"):
        assert private not in f"{mail.subject}{mail.body}"
    assert last(cast.acme.id, "approval.end_sent")["detail"]["people"] == [str(cast.id("alice"))]


def test_a_change_that_is_out_of_date_is_told_and_a_step_that_goes_on_is_not(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    change = ask(cast, kind=Kind.CHANGE, run_id=None, step=None, agent_name="Policy")
    step = ask(cast)
    for request in (change, step):
        approval_supersede(workspace_id=cast.acme.id, request_id=request.id, now=NOW)
        tasks.notify_end(str(cast.acme.id), str(request.id))
    assert [mail.subject.partition(":")[0] for mail in mailoutbox] == ["Out of date"]


@pytest.mark.parametrize("ended", [False, True])
def test_nothing_is_told_of_what_waits_was_signed_or_withdrawn(
    cast: Cast, mailoutbox: list[EmailMessage], ended: bool
) -> None:
    waiting, signed, withdrawn = (ask(cast) for _ in range(3))
    for name in ("bob", "beth"):
        vote(cast, signed, name)
    if ended:
        alice = cast.actor("alice")
        approval_cancel(workspace_id=cast.acme.id, request_id=withdrawn.id, actor=alice, now=NOW)
    for request in (waiting, signed, withdrawn):
        tasks.notify_end(str(cast.acme.id), str(request.id))
    assert mailoutbox == []
