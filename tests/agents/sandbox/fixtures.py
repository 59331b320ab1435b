"""Fixtures with jails, imported by the tests of this room and by the attacks on it."""

from collections.abc import Iterator

import pytest

from tests.agents.sandbox.lab import Lab, echo


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def _kept_lab() -> Iterator[list[Lab]]:
    kept: list[Lab] = []
    yield kept
    for one in kept:
        one.close()


@pytest.fixture
def steady(_kept_lab: list[Lab]) -> Lab:
    """A jail that the tests of a module share, as long as it lives."""
    if not _kept_lab or not _kept_lab[-1].jail.alive:
        _kept_lab.append(Lab())
    made = _kept_lab[-1]
    made.answer, made.calls, made.needed = echo, [], []
    return made
