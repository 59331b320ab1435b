"""Counting in the database, so that all web processes share one limit."""

from datetime import UTC, datetime, timedelta
from math import ceil

from django.db import connection
from django.db.models import F
from django.utils.crypto import salted_hmac

from countersign.accounts.models import RateWindow

KEEP = timedelta(days=1)


def key(kind: str, *parts: str) -> str:
    """A key that tells nobody what it counts: people type passwords into the wrong field."""
    text = "\0".join(parts)
    return f"{kind}:{salted_hmac('accounts.rates', text, algorithm='sha256').hexdigest()[:48]}"


def tick(key: str, window: timedelta, now: datetime) -> int:
    """Count one use; returns how many there are in the window now. Concurrent calls queue up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_ratewindow (key, starts, count) VALUES (%s, %s, 1)"
            " ON CONFLICT (key, starts) DO UPDATE SET count = accounts_ratewindow.count + 1"
            " RETURNING count",
            [key, _start(window, now)],
        )
        row = cursor.fetchone()
    return int(row[0])


def untick(key: str, window: timedelta, now: datetime) -> None:
    """Take one use back: it was not a failure."""
    rows = RateWindow.objects.filter(key=key, starts=_start(window, now), count__gt=0)
    rows.update(count=F("count") - 1)


def left(window: timedelta, now: datetime) -> int:
    """Whole seconds until the window ends, at least one."""
    return max(ceil((_start(window, now) + window - now).total_seconds()), 1)


def is_milestone(count: int) -> bool:
    """True at 1, 2, 4, 8, …: a flood leaves a trace without flooding the log."""
    return count > 0 and count & (count - 1) == 0


def purge(now: datetime) -> int:
    """Forget windows that no limit looks at any more; returns how many."""
    return RateWindow.objects.filter(starts__lt=now - KEEP).delete()[0]


def _start(window: timedelta, now: datetime) -> datetime:
    seconds = int(window.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)
