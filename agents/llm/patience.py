"""When to ask a model again: pure arithmetic over attempts, wishes and deadlines."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BASE_WAIT_S = 0.5
LONGEST_PARK_S = 3600.0
"""Whatever an endpoint wishes, a run is asked again within the hour."""
DEFAULT_PARK_S = 30.0
"""Wait of the run when the endpoint is out of reach and wished nothing."""

_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop asking; the run may come back after so many seconds."""

    retry_after_s: float


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3), or None where it says nothing.

    Args:
        value: the header; untrusted, any text.
        now: aware, for the date form.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def after_failure(
    *,
    attempt: int,
    max_attempts: int,
    wish_s: float | None,
    max_wait_s: float,
    remaining_s: float,
    jitter: Callable[[], float],
) -> Wait | GiveUp:
    """What to do after attempt number `attempt` (from 1) failed in a temporary way.

    `wish_s` is the endpoint's Retry-After: honoured, never shortened. `remaining_s` is what is
    left of the call's deadline. `jitter` gives a number in [0, 1).
    """
    backoff = min(max_wait_s, BASE_WAIT_S * 2 ** (attempt - 1))
    # Half fixed, half random: workers that failed together do not return together.
    wait = backoff * (0.5 + 0.5 * jitter())
    if wish_s is not None:
        wait = max(wish_s, 0.1 * wait)
    if attempt >= max_attempts or wait > max_wait_s or wait >= remaining_s:
        park = wish_s if wish_s is not None else DEFAULT_PARK_S * (0.75 + 0.5 * jitter())
        return GiveUp(min(max(park, 1.0), LONGEST_PARK_S))
    return Wait(wait)
