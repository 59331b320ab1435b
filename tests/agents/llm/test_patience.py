from datetime import UTC, datetime

import pytest

from agents.llm.patience import LONGEST_PARK_S, GiveUp, Wait, after_failure, parse_retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def after(attempt: int, *, wish: float | None = None, remaining: float = 100.0) -> Wait | GiveUp:
    return after_failure(
        attempt=attempt,
        max_attempts=4,
        wish_s=wish,
        max_wait_s=20.0,
        remaining_s=remaining,
        jitter=lambda: 0.5,
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("-3", None),
        ("soon", None),
        ("9" * 40, None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_or_ignored(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_waits_grow_and_then_the_run_comes_back() -> None:
    waits = [after(attempt) for attempt in (1, 2, 3)]
    assert [step.seconds for step in waits if isinstance(step, Wait)] == [0.375, 0.75, 1.5]
    assert after(4) == GiveUp(30.0)


def test_a_wish_is_honoured_up_to_the_bound_and_never_shortened() -> None:
    assert after(1, wish=3.0) == Wait(3.0)
    assert after(1, wish=21.0) == GiveUp(21.0)
    assert after(1, wish=1e9) == GiveUp(LONGEST_PARK_S)


def test_no_wait_outlives_the_deadline() -> None:
    assert isinstance(after(1, wish=3.0, remaining=2.9), GiveUp)
    assert isinstance(after(1, remaining=0.0), GiveUp)
