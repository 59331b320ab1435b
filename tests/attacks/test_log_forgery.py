"""Forging the log: each attack at three strengths, and the first layer that catches it.

The table of results is part of the specification (deploy/docs/log-format.md §9); a test
compares the two. `python -m tests.attacks.log_table` plays all of them and writes the table.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.attacks import log_stage, log_table
from tests.attacks.log_cases import BUNDLE_CASES, CASES, Case
from tests.attacks.log_stage import Stage
from tests.harness.server import Server


@pytest.fixture(scope="module")
def stage(
    database_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Stage]:
    with (
        django_db_blocker.unblock(),
        log_stage.prepared(database_server, tmp_path_factory.mktemp("stage")) as stage,
    ):
        yield stage


def test_the_untouched_log_passes_every_layer(stage: Stage) -> None:
    with stage.clone() as forger:
        assert stage.caught_by(forger) == {}


@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_forged_database(stage: Stage, case: Case, strength: int) -> None:
    with stage.clone() as forger:
        case.act(forger, strength)
        found = stage.caught_by(forger)
    assert found, f"nobody notices: {case.name} at strength {strength}"
    assert stage.expected(case.name, strength) == found


@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("name", BUNDLE_CASES)
def test_forged_bundle(stage: Stage, name: str, strength: int, tmp_path: Path) -> None:
    status = stage.forged_bundle(BUNDLE_CASES[name], strength, tmp_path)
    assert stage.expected(name, strength) == {"bundle": [status]}


def test_the_specification_shows_this_table() -> None:
    table = json.loads(log_stage.TABLE.read_text())
    assert log_table.markdown(table) in log_table.DOCUMENT.read_text()
    assert table.keys() == {*(case.name for case in CASES), *BUNDLE_CASES}
