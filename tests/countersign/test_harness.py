"""The ground that every other test stands on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection, connections

from countersign.accounts.models import Workspace
from tests.harness.server import TEMPLATE, Clone

ROOT = Path(__file__).resolve().parents[2]


def who_and_where() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        user, name = cursor.fetchone()
    return user, name


def test_plain_test_is_the_application_in_the_shared_clone(database: Clone) -> None:
    assert who_and_where() == ("countersign_app", database.name)
    assert database.name != TEMPLATE


@pytest.mark.parametrize("attempt", [1, 2])
def test_plain_test_leaves_nothing(database: Clone, attempt: int) -> None:
    assert Workspace.objects.count() == 0
    Workspace.objects.create(slug="left", name="Left behind")


def test_committing_test_has_its_own_clone(committing_database: Clone) -> None:
    assert who_and_where() == ("countersign_app", committing_database.name)
    Workspace.objects.create(slug="kept", name="Kept")
    connection.close()
    assert Workspace.objects.get().slug == "kept"


def test_committing_test_after_it_finds_an_empty_one(
    committing_database: Clone, shared_clone: Clone
) -> None:
    assert Workspace.objects.count() == 0
    assert committing_database.name != shared_clone.name


@pytest.mark.parametrize("alias", ["reader", "sequencer", "eraser"])
def test_each_alias_connects_as_its_role(committing_database: Clone, alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        assert cursor.fetchone() == (f"countersign_{alias}", committing_database.name)


def test_subprocess_uses_the_clone(committing_database: Clone) -> None:
    Workspace.objects.create(slug="seen", name="Seen")
    script = "from countersign.accounts.models import Workspace; print(Workspace.objects.get())"
    out = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", script],
        cwd=ROOT,
        env=committing_database.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "seen"


def test_without_a_fixture_no_database_is_reachable() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Workspace.objects.count()


def test_session_sees_none_of_the_operators_settings() -> None:
    assert {name for name in os.environ if name.startswith("COUNTERSIGN_")} == {
        "COUNTERSIGN_HOME",
        "COUNTERSIGN_BROKER_URL",
    }
