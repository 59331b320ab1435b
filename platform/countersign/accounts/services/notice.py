"""Mail to a person about their own account: what guards it has changed, or was used up.

The notice is written in the transaction of the change, so that no change goes without one, and sent
after it; the sweep sends what a lost message or an unreachable mail server left, for a day. A mail
names nobody and nothing of the account: it says what happened, where to look, and whom to tell.
"""

import logging
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone

from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts.models import Notice, User

KEEP_TRYING = timedelta(days=1)
AT_ONCE = 100
_SYSTEM = Actor("system", "countersign", "Countersign")
_logger = logging.getLogger(__name__)


class About(StrEnum):
    """What a person is told; the same words as the log's where it has one."""

    ENROLLED = "factor.confirmed"
    REMOVED = "factor.removed"
    RESET = "factor.reset"
    RENEWED = "factor.renewed"
    RECOVERY_CODE = "recovery_code.used"
    PASSWORD = "password.changed"  # noqa: S105 - the name of an event
    PASSWORD_RESET = "password.reset"  # noqa: S105 - the name of an event


_SAID = {
    About.ENROLLED: "An authenticator was set up for your account.",
    About.REMOVED: "The authenticator of your account was removed.",
    About.RESET: "The authenticator of your account was taken away: one person of your workspace"
    " asked for it, another signed.",
    About.RENEWED: "New recovery codes were made for your account; the old ones are void.",
    About.RECOVERY_CODE: "One of your account's recovery codes was used.",
    About.PASSWORD: "The password of your account was changed.",
    About.PASSWORD_RESET: "The password of your account was replaced by one for one time: whoever"
    " runs this installation did it.",
}


def tell(user: User, about: About, now: datetime) -> None:
    """Have somebody told by mail; in the transaction of what it is about."""
    Notice.objects.create(user=user, about=about.value, created=now)
    # Robust: a broker that is away must not fail the change; the sweep sends it later.
    transaction.on_commit(send.delay, robust=True)


@shared_task(name="accounts.notify", ignore_result=True)
def send() -> None:
    """Send what waits to be sent."""
    notices_send(now=timezone.now())


def notices_send(*, now: datetime) -> int:
    """Send what waits, each in a transaction of its own; returns how many were sent."""
    waiting = Notice.objects.filter(sent__isnull=True, created__gte=now - KEEP_TRYING)
    ids = list(waiting.order_by("created").values_list("id", flat=True)[:AT_ONCE])
    return sum(_sent(notice_id, now) for notice_id in ids)


def _sent(notice_id: UUID, now: datetime) -> bool:
    with in_workspace(None):
        # Mail leaves before the commit that says so: after a crash twice rather than never.
        rows = Notice.objects.select_for_update(skip_locked=True, of=("self",))
        notice = rows.filter(id=notice_id, sent__isnull=True).select_related("user").first()
        if notice is None:
            return False
        try:
            _message(notice).send()
        except OSError as error:
            # What a mail server answers may name the address.
            _logger.warning("mail could not be sent, tried again: %s", type(error).__name__)
            return False
        notice.sent = now
        notice.save(update_fields=["sent"])
        subject = Subject("user", str(notice.user_id))
        record(None, [Draft("user.notified", _SYSTEM, subject, detail={"about": notice.about})])
        return True


def _message(notice: Notice) -> EmailMessage:
    said = _SAID[About(notice.about)]
    body = (
        f"{said}\n\n"
        f"When: {notice.created:%Y-%m-%d %H:%M} UTC\n\n"
        "If you did this, or know of it, there is nothing to do. If not, somebody else may have"
        " your password: change it, look at your second factor, and tell whoever runs this"
        " installation.\n\n"
        f"{settings.COUNTERSIGN_URL}/password\n"
        f"{settings.COUNTERSIGN_URL}/second-factor\n"
    )
    return EmailMessage(said.partition(":")[0].removesuffix("."), body, to=[notice.user.email])
