"""Mail to people about what guards their account."""

import smtplib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from time import sleep

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from pytest_django import Settings

from countersign.accounts.models import Notice, User
from countersign.accounts.services import (
    HalfLogin,
    factor_remove,
    login,
    login_finish,
    password_change,
    password_reset,
    recovery_codes_renew,
)
from countersign.accounts.services.notice import KEEP_TRYING, notices_send
from policies.errors import Refusal
from policies.services import change_apply
from tests.attacks.approval import at_once
from tests.attacks.test_factor_reset import asked
from tests.countersign.accounts.authenticator import HOME, STEP, Enrolled, begin, enrol
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import vote

FAILING, SLOW = f"{__name__}.Away", f"{__name__}.Slow"
AWAY: list[str] = []
"""Addresses whose mail server does not answer."""


class Away(EmailBackend):
    """A mail server that some addresses cannot be reached through."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        if any(address in AWAY for message in messages for address in message.to):
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return super().send_messages(messages)


class Slow(EmailBackend):
    """A mail server that takes its time, so that workers meet."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        sleep(0.3)
        return super().send_messages(messages)


@pytest.fixture
def away(settings: Settings) -> Iterator[list[str]]:
    settings.EMAIL_BACKEND = FAILING
    yield AWAY
    AWAY.clear()


def proof(cast: Cast, enrolled: Enrolled) -> dict[str, object]:
    return {
        "user_id": cast.id("bob"),
        "password": cast.passwords["bob"],
        "code": enrolled.phone.code(),
        "address": HOME,
        "now": NOW,
    }


def do(cast: Cast, bob: Enrolled, act: str) -> None:
    match act:
        case "factor.removed":
            assert factor_remove(**proof(cast, bob)) is None  # type: ignore[arg-type]
        case "factor.renewed":
            assert isinstance(recovery_codes_renew(**proof(cast, bob)), list)  # type: ignore[arg-type]
        case "factor.reset":
            request = asked(cast)
            assert vote(cast, request, "carol").completed
            assert change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW) is None
        case "recovery_code.used":
            half = login(username="bob", password=cast.passwords["bob"], address=HOME, now=NOW)
            assert isinstance(half, HalfLogin)
            found = login_finish(ticket=half.ticket, code=bob.recovery[0], address=HOME, now=NOW)
            assert not isinstance(found, Refusal)
        case "password.changed":
            changed = password_change(
                user_id=cast.id("bob"),
                old=cast.passwords["bob"],
                new="three unrelated words",
                address=HOME,
                now=NOW,
            )
            assert isinstance(changed, User)
        case "password.reset":
            password_reset(username="bob")


def waiting() -> list[str]:
    return sorted(Notice.objects.filter(sent__isnull=True).values_list("about", flat=True))


@pytest.mark.parametrize(
    ("act", "subject"),
    [
        ("factor.removed", "The authenticator of your account was removed"),
        ("factor.renewed", "New recovery codes were made for your account; the old ones are void"),
        ("factor.reset", "The authenticator of your account was taken away"),
        ("recovery_code.used", "One of your account's recovery codes was used"),
        ("password.changed", "The password of your account was changed"),
        ("password.reset", "The password of your account was replaced by one for one time"),
    ],
)
def test_the_person_is_told_and_nobody_else(
    cast: Cast, mailoutbox: list[EmailMessage], act: str, subject: str
) -> None:
    bob = enrol(cast, "bob")
    notices_send(now=NOW)
    mailoutbox.clear()
    do(cast, bob, act)
    assert waiting() == [act]
    later = Notice.objects.get(about=act).created
    assert notices_send(now=later) == 1
    assert notices_send(now=later) == 0
    [mail] = mailoutbox
    assert (mail.to, mail.cc, mail.bcc, mail.subject) == (["bob@example.org"], [], [], subject)
    leaf = last(None, "user.notified")
    assert (leaf["subject"]["id"], leaf["detail"]) == (str(cast.id("bob")), {"about": act})


def test_setting_up_an_authenticator_is_told(cast: Cast, mailoutbox: list[EmailMessage]) -> None:
    begin(cast, "bob")
    assert waiting() == []
    enrol(cast, "bob")
    notices_send(now=NOW)
    assert [mail.subject for mail in mailoutbox] == ["An authenticator was set up for your account"]


def test_a_mail_holds_no_personal_data_and_no_secret(
    cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    bob = enrol(cast, "bob")
    do(cast, bob, "recovery_code.used")
    do(cast, bob, "password.changed")
    notices_send(now=NOW)
    text = "".join(f"{mail.subject}\n{mail.body}" for mail in mailoutbox).lower()
    assert len(mailoutbox) == 3
    assert "http://127.0.0.1:8000/second-factor" in text
    private = ("bob", "acme", HOME, str(cast.id("bob")), "three unrelated", bob.phone.text.lower())
    for word in (*private, *bob.recovery):
        assert word not in text


def test_what_is_refused_tells_nobody(cast: Cast) -> None:
    bob = enrol(cast, "bob")
    notices_send(now=NOW)
    given = {**proof(cast, bob), "code": bob.phone.wrong()}
    assert isinstance(factor_remove(**given), Refusal)  # type: ignore[arg-type]
    refused = password_change(
        user_id=cast.id("bob"), old="guess", new="three unrelated words", address=HOME, now=NOW
    )
    assert isinstance(refused, Refusal)
    assert waiting() == []


def test_a_server_that_is_away_keeps_one_mail_and_no_other(
    cast: Cast, away: list[str], mailoutbox: list[EmailMessage]
) -> None:
    away.append("bob@example.org")
    for name in ("bob", "beth"):
        enrol(cast, name)
    assert notices_send(now=NOW) == 1
    assert [mail.to for mail in mailoutbox] == [["beth@example.org"]]
    assert actions(None).count("user.notified") == 1
    away.clear()
    assert notices_send(now=NOW + STEP) == 1
    assert mailoutbox[-1].to == ["bob@example.org"]


def test_it_is_not_tried_for_ever(cast: Cast, mailoutbox: list[EmailMessage]) -> None:
    enrol(cast, "bob")
    assert notices_send(now=NOW + KEEP_TRYING + timedelta(hours=1)) == 0
    assert mailoutbox == []


def test_workers_at_once_send_it_once(committing_cast: Cast, settings: Settings) -> None:
    settings.EMAIL_BACKEND = SLOW
    enrol(committing_cast, "bob")
    assert sum(at_once(*[lambda: notices_send(now=NOW)] * 4)) == 1
