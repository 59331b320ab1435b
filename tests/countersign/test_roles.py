"""What each role of the database can and cannot do, asked of the database itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.core.checks import Tags, run_checks
from django.db import connection
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from countersign.database.access import PLATFORM_TABLES, TABLES, WORKSPACE_TABLES
from countersign.database.inspection import differences, faults_of_session
from countersign.database.roles import ATTRIBUTES, LOGINS, Role, missing
from tests.harness.server import TEMPLATE, Clone, Server, pointed_at


@contextmanager
def as_role(clone: Clone, role: str) -> Iterator[Connection]:
    with psycopg.connect(clone.url(role), autocommit=True) as opened:
        yield opened


def test_every_table_is_declared_and_holds_exactly_what_is_declared(database: Clone) -> None:
    with connection.cursor() as cursor:
        assert differences(cursor) == []


def test_every_table_with_a_workspace_is_confined_or_named_as_an_exception(
    database: Clone,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'workspace_id'"
        )
        named = {row[0] for row in cursor.fetchall()}
    assert named >= WORKSPACE_TABLES
    assert named - WORKSPACE_TABLES <= PLATFORM_TABLES
    assert TABLES.keys() >= WORKSPACE_TABLES | PLATFORM_TABLES


def test_application_has_no_right_of_an_administrator(database: Clone) -> None:
    with connection.cursor() as cursor:
        assert faults_of_session(cursor) == []


def test_superuser_as_application_is_found_out(database_server: Server) -> None:
    with database_server.admin.connect() as admin, admin.cursor() as cursor:
        assert "the application's role is a superuser" in faults_of_session(cursor)


def test_roles_are_as_declared(database_server: Server) -> None:
    with database_server.admin.connect() as admin:
        assert missing(admin) == []


@pytest.mark.parametrize(
    "role", [r for r, attributes in ATTRIBUTES.items() if not attributes.login]
)
def test_nobody_logs_in_as(shared_clone: Clone, role: Role) -> None:
    short = role.removeprefix("countersign_")
    with pytest.raises(psycopg.OperationalError, match=r"not permitted to log in|password"):
        psycopg.connect(shared_clone.url(short))


@pytest.mark.parametrize("role", LOGINS)
def test_wrong_password_is_refused(shared_clone: Clone, role: Role) -> None:
    short = role.removeprefix("countersign_")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(shared_clone.url(short), password="wrong")


def test_template_stays_closed_to_no_one_but_our_roles(shared_clone: Clone) -> None:
    with as_role(shared_clone, "app") as app:
        (public,) = app.execute(
            "SELECT has_database_privilege('public', current_database(), 'CONNECT')"
        ).fetchone() or (None,)
    assert public is False


@pytest.mark.parametrize("role", LOGINS)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE audit_entry",
        "UPDATE audit_entry SET action = 'edited'",
        "DELETE FROM audit_entry",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "DROP TABLE audit_entry",
        "ALTER TABLE agents_run NO FORCE ROW LEVEL SECURITY",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (id int)",
        "SET ROLE countersign_owner",
        "SET ROLE countersign_lookup",
        "SET session_replication_role = replica",
        "CREATE ROLE mine",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_no_role_of_the_service_may(shared_clone: Clone, role: Role, statement: str) -> None:
    with (
        as_role(shared_clone, role.removeprefix("countersign_")) as opened,
        pytest.raises((InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)),
    ):
        opened.execute(statement.encode())


@pytest.mark.parametrize("table", sorted(WORKSPACE_TABLES))
def test_reader_writes_nothing(shared_clone: Clone, table: str) -> None:
    with (
        as_role(shared_clone, "reader") as reader,
        pytest.raises((InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)),
    ):
        reader.execute(f"INSERT INTO {table} DEFAULT VALUES".encode())


@pytest.mark.parametrize("table", ["django_session", "accounts_user", "accounts_token"])
@pytest.mark.parametrize("role", ["reader", "sequencer", "eraser"])
def test_credentials_are_the_applications_alone(shared_clone: Clone, role: str, table: str) -> None:
    with as_role(shared_clone, role) as opened, pytest.raises(InsufficientPrivilege):
        opened.execute(f"SELECT * FROM {table}".encode())


class TestRowLevelSecurity:
    """A tool of workspace A, looked at from A, from B and from nowhere."""

    @pytest.fixture
    def app(self, committing_database: Clone) -> Iterator[Connection]:
        self.mine, self.other = uuid4(), uuid4()
        with as_role(committing_database, "app") as app:
            for name, workspace in [("mine", self.mine), ("other", self.other)]:
                app.execute(
                    "INSERT INTO accounts_workspace (id, slug, name) VALUES (%s, %s, %s)",
                    [workspace, name, name],
                )
            self.enter(app, str(self.mine))
            self.insert(app)
            yield app

    def enter(self, app: Connection, workspace: str) -> None:
        app.execute("SELECT set_config('countersign.workspace', %s, false)", [workspace])

    def insert(self, app: Connection) -> None:
        app.execute(
            "INSERT INTO policies_policyset (id, workspace_id) VALUES (%s, %s)",
            [uuid4(), self.mine],
        )

    def count(self, app: Connection) -> int:
        row = app.execute("SELECT count(*) FROM policies_policyset").fetchone()
        assert row is not None
        return int(row[0])

    def test_own_workspace_sees_it(self, app: Connection) -> None:
        assert self.count(app) == 1

    def test_other_workspace_does_not(self, app: Connection) -> None:
        self.enter(app, str(self.other))
        assert self.count(app) == 0

    def test_no_workspace_sees_nothing(self, app: Connection) -> None:
        app.execute("RESET countersign.workspace")
        assert self.count(app) == 0
        self.enter(app, "")
        assert self.count(app) == 0

    def test_nothing_can_be_written_into_another(self, app: Connection) -> None:
        self.enter(app, str(self.other))
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            self.insert(app)

    def test_reader_sees_every_workspace(self, app: Connection, committing_database: Clone) -> None:
        with as_role(committing_database, "reader") as reader:
            assert self.count(reader) == 1

    def test_owner_is_under_it_too(
        self, app: Connection, committing_database: Clone, database_server: Server
    ) -> None:
        with database_server.admin.connect(committing_database.name, role=Role.OWNER) as owner:
            assert self.count(owner) == 0


class TestChecks:
    def found(self) -> set[str]:
        found = run_checks(tags=[Tags.database, Tags.security], databases=["default"])
        return {message.id or "" for message in found}

    def test_clean_database_gives_only_the_warning_about_a_throw_away_server(
        self, database: Clone
    ) -> None:
        assert {i for i in self.found() if i.startswith("countersign")} == {"countersign.W001"}

    def test_privilege_given_by_hand_is_an_error(
        self, committing_database: Clone, database_server: Server
    ) -> None:
        with database_server.admin.connect(committing_database.name) as admin:
            admin.execute("GRANT DELETE ON audit_entry TO countersign_app")
        assert "countersign.E004" in self.found()

    def test_undeclared_table_is_an_error(
        self, committing_database: Clone, database_server: Server
    ) -> None:
        with database_server.admin.connect(committing_database.name, role=Role.OWNER) as owner:
            owner.execute("CREATE TABLE stray (id int)")
        assert "countersign.E004" in self.found()

    def test_row_level_security_switched_off_by_hand_is_an_error(
        self, committing_database: Clone, database_server: Server
    ) -> None:
        with database_server.admin.connect(committing_database.name, role=Role.OWNER) as owner:
            owner.execute("ALTER TABLE agents_run DISABLE ROW LEVEL SECURITY")
        assert "countersign.E004" in self.found()


def test_migrating_again_repairs_what_was_changed_by_hand(
    committing_database: Clone, database_server: Server
) -> None:
    from countersign.database.administration import application
    from countersign.database.administrator import Administrator
    from countersign.database.setup import migrate

    with database_server.admin.connect(committing_database.name) as admin:
        admin.execute("GRANT ALL ON audit_entry TO countersign_app, PUBLIC")
        admin.execute("ALTER TABLE agents_run DISABLE ROW LEVEL SECURITY")
    assert committing_database.name != TEMPLATE
    target = Administrator(database_server.admin.parameters, committing_database.name)
    with pointed_at(committing_database):
        for _ in range(3):
            migrate(target, application())
        with connection.cursor() as cursor:
            assert differences(cursor) == []
