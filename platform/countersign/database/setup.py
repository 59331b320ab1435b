"""Makes a server's database ours, in steps that may be repeated at any time.

1. Roles (as an administrator who may make roles).
2. The database, owned by the owner role; nothing in it for everybody.
3. Migrations, as the owner role.
4. The queue, in a schema of the application's own.
5. Functions and privileges, as the owner role, from the one list in ``access``.
6. Event triggers that refuse changes to the log's schema, if the administrator is a superuser.
"""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from django.core.management import call_command
from pgmq.install import get_embedded_install_sql
from psycopg import Connection, sql

from audit import guards
from countersign.database import access
from countersign.database.administrator import Administrator
from countersign.database.roles import LOGINS, Role, create_roles, missing

FUNCTIONS = Path(__file__).parent / "functions.sql"
QUEUES = ("countersign",)
OLDEST_SERVER = 150000
# Any number will do, as long as every migration of ours takes the same one.
MIGRATION_LOCK = 0x636F756E746572


class SetupError(Exception):
    """The server cannot carry Countersign; the message says what to change."""


def provision(admin: Administrator, passwords: Mapping[Role, str]) -> None:
    """Make roles and database (steps 1 and 2).

    Raises:
        SetupError: The server is older than PostgreSQL 15.
    """
    with admin.connect(admin.maintenance) as connection:
        require_version(connection)
        if missing(connection) or may_make_roles(connection):
            create_roles(connection, passwords)
        create_database(connection, admin.database)


def require_version(connection: Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise SetupError(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: 15 is needed"
        )


def may_make_roles(connection: Connection) -> bool:
    found = connection.execute(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    return found == (True,)


def create_database(connection: Connection, name: str, template: str = "template0") -> None:
    """Make database ``name`` unless it exists; only our roles may connect to it."""
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(Role.OWNER), sql.Identifier(template)
            )
        )
    connection.execute(
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
    )
    connection.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, LOGINS))
        )
    )


def migrate(admin: Administrator, application: Mapping[str, str], *, verbosity: int = 0) -> None:
    """Bring the schema, the queue and all privileges up to date (steps 3 to 6).

    Args:
        admin: Who may act as the owner role.
        application: libpq key-values of the application role, ``dbname`` included.
        verbosity: As Django's ``migrate``.

    Raises:
        SetupError: The server is older than PostgreSQL 15.
    """
    with admin.connect() as guard:
        require_version(guard)
        guard.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        with admin.as_owner() as alias:
            call_command("migrate", database=alias, interactive=False, verbosity=verbosity)
        install_queue(admin, application)
        with admin.connect(role=Role.OWNER) as connection, connection.transaction():
            connection.execute("SELECT set_config(%s, 'on', true)", [guards.MIGRATION_SETTING])
            connection.execute(FUNCTIONS.read_bytes())
            access.apply(connection)
        _guard_schema(guard)


def _guard_schema(connection: Connection) -> None:
    """Refuse later changes to the log's schema, where the server lets us (a system check says)."""
    found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if found.fetchone() == (True,):
        with connection.transaction():
            connection.execute("SELECT set_config(%s, 'on', true)", [guards.MIGRATION_SETTING])
            connection.execute(guards.EVENT_TRIGGER_SQL.encode())


def install_queue(admin: Administrator, application: Mapping[str, str]) -> None:
    """Install pgmq's SQL as the application role, which thereby owns it, and make our queues."""
    with psycopg.connect("", **application, autocommit=True) as connection:  # type: ignore[arg-type]
        found = connection.execute("SELECT to_regnamespace('pgmq')").fetchone()
        if found == (None,):
            _install_pgmq(admin, connection)
        present = {row[0] for row in connection.execute("SELECT queue_name FROM pgmq.meta")}
        for queue in QUEUES:
            if queue not in present:
                with connection.transaction():
                    connection.execute("SELECT pgmq.create(%s)", [queue])
                    connection.execute("SELECT pgmq.enable_notify_insert(%s, 0)", [queue])


def _install_pgmq(admin: Administrator, connection: Connection) -> None:
    # The application may make schemas only while this one is made.
    right = sql.SQL("CREATE ON DATABASE {}").format(sql.Identifier(admin.database))
    role = sql.Identifier(Role.APP)
    with admin.connect(role=Role.OWNER) as owner:
        owner.execute(sql.SQL("GRANT {} TO {}").format(right, role))
        try:
            with connection.transaction():
                connection.execute(get_embedded_install_sql().encode())
        finally:
            owner.execute(sql.SQL("REVOKE {} FROM {}").format(right, role))
