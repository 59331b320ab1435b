"""The local mailbox (Maildir): where the demo's mails go instead of out into the world."""

import hashlib
import os
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

_FOLDERS = ("tmp", "new", "cur")


def message(*, sender: str, recipient: str, subject: str, body: str) -> EmailMessage:
    """A plain text mail.

    Raises:
        ValueError: An address or the subject holds a line break or is no address; sender's fault.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Date"] = datetime.now(UTC)
    mail.set_content(body)
    return mail


def deliver(mailbox: Path, key: str, mail: EmailMessage) -> str:
    """Put `mail` into the mailbox once per `key`; returns its id, the same at every repetition."""
    for name in _FOLDERS:
        (mailbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    if not any((mailbox / "cur").glob(f"{name}:*")):
        _link_once(mailbox, name, mail)
    return f"MAIL-{name[:12]}"


def _link_once(mailbox: Path, name: str, mail: EmailMessage) -> None:
    # A link exists whole or not at all, and refuses to be made twice.
    aside = mailbox / "tmp" / f"{name}.{secrets.token_hex(4)}"
    with aside.open("xb") as out:
        out.write(mail.as_bytes())
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(aside, mailbox / "new" / name)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
