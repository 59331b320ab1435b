"""An installation of an earlier release is brought up to date, guards of its log and all."""

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from countersign.database.administrator import Administrator
from countersign.database.roles import Role
from countersign.database.setup import migrate
from tests.harness.server import Clone, Server

EARLIER = ("audit", "0005_jobs")
DDL = "ALTER TABLE audit_entry RENAME TO audit_elsewhere"


@pytest.fixture
def administrator(committing_database: Clone, database_server: Server) -> Administrator:
    return Administrator(database_server.admin.parameters, committing_database.name)


def applied(administrator: Administrator) -> set[str]:
    with administrator.connect() as connection:
        rows = connection.execute("SELECT name FROM django_migrations WHERE app = 'audit'")
        return {str(row[0]) for row in rows}


def test_a_release_that_changes_the_log_is_installed_over_a_guarded_one(
    committing_database: Clone, administrator: Administrator
) -> None:
    newest = applied(administrator)
    connections["default"].close()
    with administrator.as_owner() as alias:
        call_command("migrate", *EARLIER, database=alias, interactive=False, verbosity=0)
    assert applied(administrator) < newest
    given = conninfo_to_dict(committing_database.url("app"))
    migrate(administrator, {name: str(value) for name, value in given.items()})
    assert applied(administrator) == newest


def test_the_guard_stands_again_afterwards(administrator: Administrator) -> None:
    with (
        administrator.connect(role=Role.OWNER) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"),
    ):
        connection.execute(DDL)
