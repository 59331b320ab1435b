"""A mail is delivered once, however often it is sent."""

import mailbox as standard
from email.message import EmailMessage
from pathlib import Path

import pytest

from countersign.demo import mailbox


def mail(subject: str = "Payments") -> EmailMessage:
    return mailbox.message(
        sender="agent@demo.example",
        recipient="alice@demo.example",
        subject=subject,
        body="Twelve payments of 48,310.20 EUR; Kessler Büro first.\n",
    )


def test_same_key_delivers_once(tmp_path: Path) -> None:
    first = mailbox.deliver(tmp_path / "box", "key-1", mail())
    again = mailbox.deliver(tmp_path / "box", "key-1", mail("Another"))
    other = mailbox.deliver(tmp_path / "box", "key-2", mail())
    assert first == again != other
    found = list(standard.Maildir(tmp_path / "box", create=False))
    assert [m["Subject"] for m in found] == ["Payments", "Payments"]


def test_mail_that_was_read_is_not_delivered_again(tmp_path: Path) -> None:
    mailbox.deliver(tmp_path, "key-1", mail())
    new = next((tmp_path / "new").iterdir())
    new.rename(tmp_path / "cur" / f"{new.name}:2,S")
    mailbox.deliver(tmp_path, "key-1", mail())
    assert list((tmp_path / "new").iterdir()) == []


def test_line_break_in_the_subject_is_refused() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail("Payments\nBcc: mallory@elsewhere.example")
