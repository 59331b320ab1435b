"""Whoever holds a role of the application cannot change, remove or hide what is logged.

Through the ORM, through raw SQL, and with the tricks that get around triggers elsewhere.
Each role is tried, and a superuser without preparation too.
"""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import LazySettings
from django.db import DatabaseError
from django.db.models import Model, QuerySet

from audit.guards import APPEND_ONLY
from audit.models import Batch, Checkpoint, Entry, Payload, Position
from audit.transactions import PLATFORM, in_workspace
from tests.audit.history import History
from tests.harness.server import Clone, Server

ROLES = ("app", "reader", "sequencer", "eraser")
REFUSED = (
    "UPDATE {table} SET workspace_id = workspace_id",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "DROP TABLE {table}",
    "DROP TABLE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER {table}_refuse",
    "DROP TRIGGER {table}_refuse ON {table}",
    "ALTER TABLE {table} RENAME TO gone",
    "ALTER TABLE {table} SET SCHEMA pg_catalog",
    "ALTER TABLE {table} ADD COLUMN extra text",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "CREATE RULE gone AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TRIGGER gone BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
)
ONCE = (
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NULL; END'",
    "DROP FUNCTION audit_refuse() CASCADE",
    "DROP SCHEMA public CASCADE",
    "SET session_replication_role = replica",
    "INSERT INTO audit_entry (leaf) SELECT leaf FROM audit_entry ON CONFLICT (id)"
    " DO UPDATE SET leaf = excluded.leaf",
    "COPY audit_entry FROM PROGRAM 'true'",
    "ALTER EVENT TRIGGER audit_refuse_ddl DISABLE",
    "SET ROLE countersign_owner",
    "ALTER ROLE countersign_app BYPASSRLS",
    "INSERT INTO audit_position SELECT workspace_id, 99, number, leaf_hash FROM audit_entry",
)
MAY_PLACE = ("INSERT INTO audit_position",)


@pytest.fixture
def written(committing_database: Clone, tmp_path: Path, settings: LazySettings) -> History:
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    history = History(uuid4())
    history.run()
    history.sign()
    return history


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_refused(
    role: str, written: History, committing_database: Clone, database_server: Server
) -> None:
    before = _rows(database_server, committing_database)
    with psycopg.connect(committing_database.url(role), autocommit=True) as attacker:
        attacker.execute(
            "SELECT set_config('countersign.workspace', %s, false)", [str(written.workspace)]
        )
        attacker.execute("SELECT set_config('countersign.migration', 'on', false)")
        for statement in _statements(role):
            _refused(attacker, statement)
    assert _rows(database_server, committing_database) == before


@pytest.mark.parametrize("model", [Entry, Position, Batch, Checkpoint, Payload])
def test_the_orm_is_refused_by_the_database(model: type[Model], written: History) -> None:
    acts: list[Callable[[QuerySet[Model]], object]] = [
        lambda rows: rows.delete(),
        lambda rows: rows._raw_delete("default"),
        lambda rows: rows.update(workspace_id=PLATFORM),
        lambda rows: rows.first().delete(),  # type: ignore[union-attr]
    ]
    for act in acts:
        with pytest.raises(DatabaseError), in_workspace(written.workspace):
            act(model._default_manager.all())
    with in_workspace(written.workspace):
        assert model._default_manager.exists()


def test_a_superuser_does_not_change_the_log_by_mistake(
    written: History, committing_database: Clone, database_server: Server
) -> None:
    before = _rows(database_server, committing_database)
    with database_server.admin.connect(committing_database.name) as admin:
        for table in APPEND_ONLY:
            for statement in REFUSED:
                _refused(admin, statement.format(table=table))
        # Triggers that are not ENABLE ALWAYS would sleep under this setting.
        admin.execute("SET session_replication_role = replica")
        for statement in ("UPDATE audit_entry SET leaf = leaf", "DELETE FROM audit_entry"):
            with pytest.raises(psycopg.Error, match="refused"):
                admin.execute(statement.encode())
        admin.execute("SET session_replication_role = origin")
        for statement in ONCE[:3]:
            _refused(admin, statement)
    assert _rows(database_server, committing_database) == before


def test_no_role_holds_a_right_to_change_the_log(
    written: History, committing_database: Clone, database_server: Server
) -> None:
    with database_server.admin.connect(committing_database.name) as admin:
        rows = admin.execute(
            "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants"
            " WHERE table_name = ANY(%s) AND grantee LIKE 'countersign%%'"
            " AND grantee <> 'countersign_owner'"
            " AND privilege_type NOT IN ('SELECT', 'INSERT')",
            [list(APPEND_ONLY)],
        ).fetchall()
    assert rows == []


def _refused(connection: psycopg.Connection, statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.Error:
        return
    pytest.fail(f"not refused: {statement}")


def _statements(role: str) -> list[str]:
    found = [statement.format(table=table) for table in APPEND_ONLY for statement in REFUSED]
    once = [s for s in ONCE if role != "sequencer" or not s.startswith(MAY_PLACE)]
    return found + once


def _rows(server: Server, clone: Clone) -> list[tuple[object, ...]]:
    with server.admin.connect(clone.name) as admin:
        return admin.execute(
            "SELECT number, leaf, leaf_hash FROM audit_entry ORDER BY 1"
        ).fetchall()
