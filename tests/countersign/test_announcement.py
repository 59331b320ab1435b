"""A change of the schema stands in the log, before and after."""

import json

import pytest
from django.core.management import call_command
from django.db import OperationalError

from audit import guards
from audit.models import Entry
from audit.transactions import in_workspace
from countersign.database.administration import application
from countersign.database.administrator import Administrator
from countersign.database.announcement import announced
from countersign.database.setup import migrate
from tests.harness.server import Clone, Server

LAST = "0003_remove_groupobjectpermission_guardian_gr_content_ae6aec_idx_and_more"


@pytest.fixture
def admin(database_server: Server, committing_database: Clone) -> Administrator:
    """Who may change the schema of this test's own database."""
    return Administrator(database_server.admin.parameters, committing_database.name)


def said() -> list[tuple[str, object]]:
    with in_workspace(None):
        entries = Entry.objects.filter(action__startswith="migration.").order_by("id")
        return [(entry.action, json.loads(bytes(entry.leaf))["detail"]) for entry in entries]


def undo_last(admin: Administrator) -> None:
    with admin.as_owner() as alias:
        call_command("migrate", "guardian", "0002", database=alias, verbosity=0)


def rename(admin: Administrator, table: str, name: str) -> None:
    with admin.connect() as superuser, superuser.transaction():
        superuser.execute("SELECT set_config(%s, 'on', true)", [guards.MIGRATION_SETTING])
        superuser.execute(f"ALTER TABLE {table} RENAME TO {name}".encode())


def test_start_without_changes_says_nothing(admin: Administrator) -> None:
    with announced(admin) as due:
        assert due == []
    assert said() == []


def test_change_is_named_before_and_after(admin: Administrator) -> None:
    undo_last(admin)
    with announced(admin):
        migrate(admin, application())
    named = {"count": 1, "migrations": [f"guardian.{LAST}"]}
    assert said() == [
        ("migration.started", named),
        ("migration.finished", {**named, "announced": True}),
    ]


def test_failed_change_leaves_its_start_alone(admin: Administrator) -> None:
    undo_last(admin)
    with pytest.raises(OperationalError), announced(admin):
        raise OperationalError("the server went away")
    assert [action for action, _ in said()] == ["migration.started"]


def test_change_before_the_log_can_take_it_is_named_after(admin: Administrator) -> None:
    undo_last(admin)
    rename(admin, "audit_entry", "elsewhere")
    with announced(admin):
        rename(admin, "elsewhere", "audit_entry")
        migrate(admin, application())
    assert [action for action, _ in said()] == ["migration.finished"]
