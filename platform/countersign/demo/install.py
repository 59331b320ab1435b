"""Puts the demo's books where its tools find them: a schema of its own and a folder of files.

The schema `demo` belongs to the role `countersign_demo`, which has no right to anything of
Countersign's, as Countersign's roles have none to the schema. The tools log in with that role's
password by reference; the service never holds it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from countersign.demo import files, setting
from countersign.demo.books import Books

ROLE = "countersign_demo"
SCHEMA = "demo"
_SQL = Path(__file__).parent / "schema.sql"
_STATEMENT_TIMEOUT = "20s"


def edition(books: Books) -> str:
    """Names the content: another schema or other books have another edition (SHA-256 hex)."""
    return hashlib.sha256(_SQL.read_bytes() + repr(astuple(books)).encode()).hexdigest()


def installed(connection: Connection) -> str | None:
    """The edition that the database holds; None without one."""
    found = connection.execute("SELECT to_regclass('demo.edition')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute("SELECT digest FROM demo.edition").fetchone()
    return str(row[0]) if row else None


def install(connection: Connection, password: str, books: Books, inbox: Path) -> None:
    """Make role, schema and files, and fill the schema from the files; all or nothing.

    Args:
        connection: As a role that may make roles and act as them, outside a transaction.
        password: What `countersign_demo` logs in with from now on.
        books: What suppliers and our own people have written.
        inbox: Folder for the suppliers' files, made if missing.

    Raises:
        psycopg.errors.DuplicateSchema: There is a demo already; `remove` it first.
    """
    files.write(books, inbox)
    with connection.transaction():
        _make_role(connection, password)
        admit(connection)
        role, schema = sql.Identifier(ROLE), sql.Identifier(SCHEMA)
        connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(schema, role))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
        connection.execute(_SQL.read_bytes())
        _fill(connection, books, inbox)
        connection.execute("INSERT INTO edition (digest) VALUES (%s)", [edition(books)])


def remove(connection: Connection) -> None:
    """Drop the schema with everything in it, payments included; the role stays."""
    with connection.transaction():
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA))
        )


def write_credential(file: Path, server: Mapping[str, str], database: str, password: str) -> None:
    """Keep the tools' login as a libpq key-value string in a file only we can read."""
    login = make_conninfo(
        "",
        **{name: server[name] for name in ("host", "port") if server.get(name)},
        dbname=database,
        user=ROLE,
        password=password,
        application_name="countersign demo tools",
        options=f"-c search_path={SCHEMA} -c statement_timeout={_STATEMENT_TIMEOUT}",
    )
    setting.write_private(file, login + "\n")


def _make_role(connection: Connection, password: str) -> None:
    role = sql.Identifier(ROLE)
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    if found is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # Only the SCRAM verifier travels, so that no server log ever holds the password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), ROLE.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOBYPASSRLS PASSWORD {}").format(
            role, sql.Literal(verifier.decode())
        )
    )


def admit(connection: Connection) -> None:
    """Let the demo's role connect to this database; nobody may who is not told so."""
    database, role = sql.Identifier(connection.info.dbname), sql.Identifier(ROLE)
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))


def _fill(connection: Connection, books: Books, inbox: Path) -> None:
    _copy(connection, "vendor", (astuple(vendor) for vendor in books.vendors))
    _copy(connection, "vendor_account", (astuple(account) for account in books.accounts))
    _copy(
        connection,
        "purchase_order",
        (astuple(order) for order in books.orders),
        ("number", "vendor", "week", "ordered", "item", "quantity", "unit_cents"),
    )
    _copy(connection, "goods_receipt", (astuple(receipt) for receipt in books.receipts))
    weeks = {invoice.week for invoice in books.invoices}
    _copy(
        connection,
        "invoice",
        (astuple(found) for found in files.invoices(inbox) if found.week in weeks),
    )


def _copy(
    connection: Connection,
    table: str,
    rows: Iterable[Sequence[object]],
    columns: Sequence[str] = (),
) -> None:
    names = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    statement = sql.SQL("COPY {} {} FROM STDIN").format(
        sql.Identifier(table), names if columns else sql.SQL("")
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
