"""Threat: somebody with the application's role writes into the log by raw SQL."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from audit import canonical
from tests.harness.server import Clone

WORKSPACE = uuid4()
RUN = str(uuid4())


def leaf(**changes: Any) -> bytes:
    body = {
        "v": 1,
        "id": str(uuid4()),
        "time": canonical.timestamp(datetime.now(UTC)),
        "workspace": str(WORKSPACE),
        "actor": {"type": "user", "id": "mallory", "name": "Mallory"},
        "action": "note.taken",
        "subject": {"type": "note", "id": "1"},
        **changes,
    }
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def insert(clone: Clone, written: bytes) -> None:
    with psycopg.connect(clone.url("app")) as connection:
        connection.execute("SELECT set_config('countersign.workspace', %s, true)", [str(WORKSPACE)])
        # What the columns say is not asked: they are filled from the leaf.
        connection.execute(
            "INSERT INTO audit_entry (leaf, actor_id, number) VALUES (%s, 'someone else', 7)",
            [written],
        )
        row = connection.execute("SELECT actor_id, number, run_seq FROM audit_entry").fetchone()
        assert row is not None
        assert row[0] == "mallory"
        assert row[1] != 7
        connection.rollback()


@pytest.mark.parametrize("changes", [{}, {"run": RUN, "run_seq": 1}], ids=["alone", "of a run"])
def test_a_well_formed_leaf_is_taken(
    committing_database: Clone, changes: Mapping[str, Any]
) -> None:
    insert(committing_database, leaf(**changes))


def at(seconds: int) -> str:
    return canonical.timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detail": {"text": "x" * 65_535}}, "at most 65535 bytes"),
        ({"time": at(-3600)}, "is not the time of the server"),
        ({"time": at(3600)}, "is not the time of the server"),
        ({"run": RUN}, "has its number there"),
        ({"run_seq": 1}, "has its number there"),
        ({"run": RUN, "run_seq": 0}, "has its number there"),
        ({"run": RUN, "run_seq": -1}, "has its number there"),
    ],
    ids=["too long", "late", "early", "run alone", "number alone", "number 0", "below 0"],
)
def test_a_leaf_that_says_what_cannot_be_is_refused(
    committing_database: Clone, changes: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(errors.CheckViolation, match=message):
        insert(committing_database, leaf(**changes))


@pytest.mark.parametrize("name", ["id", "time", "workspace", "action", "actor", "subject"])
def test_a_leaf_without_what_every_entry_has_is_refused(
    committing_database: Clone, name: str
) -> None:
    with pytest.raises((errors.NotNullViolation, errors.InsufficientPrivilege)):
        insert(committing_database, leaf(**{name: None}))


@pytest.mark.parametrize("written", [b"", b"{", b"\xff{}", b"[]", b'{"v":1}'])
def test_what_is_no_leaf_is_refused(committing_database: Clone, written: bytes) -> None:
    with pytest.raises(psycopg.DatabaseError):
        insert(committing_database, written)


def test_a_leaf_of_another_workspace_is_refused(committing_database: Clone) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        insert(committing_database, leaf(workspace=str(uuid4())))
