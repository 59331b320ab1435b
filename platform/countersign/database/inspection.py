"""Compares what the database's roles can really do with what ``access`` and ``roles`` declare."""

from collections.abc import Iterator
from typing import Any, Protocol

from countersign.database.access import GRANTEES, TABLES, WORKSPACE_TABLES
from countersign.database.roles import Role

# REFERENCES and TRIGGER let one attach code to a table; MAINTAIN (17) lets one lock it.
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


class Cursor(Protocol):
    """A cursor of psycopg or of Django."""

    def execute(self, query: Any, params: Any = None, /) -> object: ...  # noqa: ANN401
    def fetchall(self) -> list[tuple[Any, ...]]: ...


def differences(cursor: Cursor) -> list[str]:
    """Return one sentence for each privilege or policy that is not as declared."""
    return [*_tables(cursor), *_row_security(cursor)]


def faults_of_session(cursor: Cursor) -> list[str]:
    """Return one sentence for each right that the connected role should not have."""
    cursor.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,"
        " pg_has_role(current_user, %s, 'MEMBER'),"
        " EXISTS (SELECT 1 FROM pg_class WHERE relowner = pg_roles.oid"
        "         AND relnamespace = 'public'::regnamespace)"
        " FROM pg_roles WHERE rolname = current_user",
        [str(Role.OWNER)],
    )
    words = (
        "is a superuser",
        "is above row-level security",
        "may make roles",
        "may make databases",
        "may replicate",
        f"may act as {Role.OWNER}",
        "owns tables",
    )
    (row,) = cursor.fetchall()
    return [f"the application's role {what}" for what, true in zip(words, row, strict=True) if true]


def _tables(cursor: Cursor) -> Iterator[str]:
    cursor.execute(
        "SELECT c.relname, g.role, p.privilege, has_table_privilege(g.role, c.oid, p.privilege)"
        " FROM pg_class c CROSS JOIN unnest(%s::text[]) AS g(role)"
        " CROSS JOIN unnest(%s::text[]) AS p(privilege)"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " ORDER BY 1, 2, 3",
        [[str(role) for role in GRANTEES], list(PRIVILEGES)],
    )
    rows = cursor.fetchall()
    present = {row[0] for row in rows}
    yield from (f"table {name} is not declared" for name in sorted(present - TABLES.keys()))
    yield from (f"table {name} does not exist" for name in sorted(TABLES.keys() - present))
    for name, role, privilege, held in rows:
        declared = name in TABLES and privilege in TABLES[name].of(Role(role))
        if held != declared:
            yield f"{role} {'may' if held else 'may not'} {privilege} {name}"


def _row_security(cursor: Cursor) -> Iterator[str]:
    cursor.execute(
        "SELECT c.relname FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity"
        " AND c.relforcerowsecurity"
        " AND (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) = 1"
    )
    confined = {row[0] for row in cursor.fetchall()}
    for name in sorted(WORKSPACE_TABLES - confined):
        yield f"table {name} is not confined to one workspace"
