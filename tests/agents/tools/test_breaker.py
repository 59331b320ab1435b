"""A tool that breaks again and again is left alone for a while."""

import pytest

from agents.tools.breaker import Breakers
from agents.tools.errors import ToolBusy, ToolFailed, ToolTimeout, ToolUnavailable


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers(failures=3, pause_s=30, clock=clock)


def breaks(breakers: Breakers, key: str = "a", error: BaseException | None = None) -> None:
    error = error or ToolTimeout("no answer")
    with pytest.raises(type(error)), breakers.guarding(key, "pay"):
        raise error


def works(breakers: Breakers, key: str = "a") -> None:
    with breakers.guarding(key, "pay"):
        pass


def test_it_opens_after_failures_in_a_row_and_says_so(breakers: Breakers) -> None:
    for _ in range(3):
        breaks(breakers)
    with pytest.raises(ToolUnavailable, match=r"3 times in a row.*30 seconds"):
        works(breakers)


def test_a_success_in_between_starts_the_count_again(breakers: Breakers) -> None:
    for _ in range(2):
        breaks(breakers)
    works(breakers)
    for _ in range(2):
        breaks(breakers)
    works(breakers)


def test_one_call_tries_after_the_pause_and_closes_it(breakers: Breakers, clock: Clock) -> None:
    for _ in range(3):
        breaks(breakers)
    clock.now += 30
    with breakers.guarding("a", "pay"), pytest.raises(ToolUnavailable):
        works(breakers)
    works(breakers)


def test_a_try_that_breaks_opens_it_for_another_pause(breakers: Breakers, clock: Clock) -> None:
    for _ in range(3):
        breaks(breakers)
    clock.now += 30
    breaks(breakers)
    clock.now += 29
    with pytest.raises(ToolUnavailable):
        works(breakers)
    clock.now += 1
    works(breakers)


def test_a_try_that_finds_no_place_lets_the_next_one_try(breakers: Breakers, clock: Clock) -> None:
    for _ in range(3):
        breaks(breakers)
    clock.now += 30
    breaks(breakers, error=ToolBusy("full"))
    works(breakers)


@pytest.mark.parametrize("error", [ToolBusy("full"), KeyboardInterrupt()])
def test_what_is_not_the_tools_fault_does_not_count(
    breakers: Breakers, error: BaseException
) -> None:
    for _ in range(5):
        with pytest.raises(type(error)), breakers.guarding("a", "pay"):
            raise error
    works(breakers)


def test_another_workspace_is_not_affected(breakers: Breakers) -> None:
    for _ in range(3):
        breaks(breakers, "a", ToolFailed("OSError", "gone"))
    works(breakers, "b")
