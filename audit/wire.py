"""Statements in PostgreSQL's own binary form: for the few that every action pays for.

Django's cursor writes values into the text of a statement: bytes become twice as long and
everything is parsed again; psycopg's lists cost more than the insert they carry. Measured,
for an entry with two payloads: 87 µs to prepare the values, 9 here.

What Django's own way guarantees holds here too: its errors, its statement hooks (tests kill
processes between statements with them), no statement in a broken transaction.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from uuid import UUID

from psycopg import Connection, OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

Data: TypeAlias = bytes | bytearray
Value: TypeAlias = tuple[int, Data]
"""(PostgreSQL's number of the type, the value in its binary form)"""

BYTEA, BIGINT, TEXT, UUID_, TIMESTAMPTZ = 17, 20, 25, 2950, 1184
_ARRAY_OF = {BYTEA: 1001, BIGINT: 1016, TEXT: 1009, UUID_: 2951}

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BINARY = 1

LARGE = 1 << 20
"""Bytes together from which values are not joined into an array on our side."""


def int8(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def bigint(value: int) -> Value:
    return BIGINT, int8(value)


def uuid(value: UUID) -> Value:
    return UUID_, value.bytes


def time(value: datetime) -> Value:
    return TIMESTAMPTZ, int8((value - _EPOCH) // _MICROSECOND)


def placed(element: int, items: Sequence[Data], at: int) -> tuple[str, list[Value]]:
    """Return an array's text in a statement from `$at` on, and its values.

    One array is the quickest, and joins all its items once more in memory: large ones go one by
    one, and the server makes the array.
    """
    if sum(map(len, items)) < LARGE:
        return f"${at}", [array(element, items)]
    marks = ", ".join(f"${at + index}" for index in range(len(items)))
    return f"ARRAY[{marks}]", [(element, item) for item in items]


def array(element: int, items: Sequence[Data | None]) -> Value:
    """Return a one-dimensional array; None is NULL."""
    if not items:
        return _ARRAY_OF[element], struct.pack("!iiI", 0, 0, element)
    parts: list[Data] = [struct.pack("!iiIii", 1, None in items, element, len(items), 1)]
    for item in items:
        if item is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            parts += (len(item).to_bytes(4, "big"), item)
    return _ARRAY_OF[element], b"".join(parts)


def text(value: str) -> Value:
    return TEXT, value.encode()


def integer(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def moment(data: bytes) -> datetime:
    return _EPOCH + integer(data) * _MICROSECOND


def integers(data: bytes) -> list[int]:
    """Read an array of bigint without NULL."""
    return [item for (item,) in struct.iter_unpack("!4xq", data[20:])]


def call(connection: "BaseDatabaseWrapper", sql: str, values: Sequence[Value]) -> bytes | None:
    """Run one statement; return its first value, as `row` does.

    None where that is NULL, or the statement returns nothing.

    Raises:
        django.db.DatabaseError: As for any statement through Django.
    """
    found = row(connection, sql, values)
    return found[0] if found else None


def row(connection: "BaseDatabaseWrapper", sql: str, values: Sequence[Value]) -> list[Any] | None:
    """Run one statement, in the open transaction if there is one; return its first row.

    Returns:
        Each value as bytes, in binary form, or None for NULL; None if there is no row.

    Raises:
        django.db.DatabaseError: As for any statement through Django.
    """
    found = rows(connection, sql, values)
    return found[0] if found else None


def rows(connection: "BaseDatabaseWrapper", sql: str, values: Sequence[Value]) -> list[list[Any]]:
    """Run one statement as `row` does; return all its rows."""
    types, data = zip(*values, strict=True)
    connection.ensure_connection()
    raw: Connection[Any] = connection.connection
    conn = raw.pgconn
    if not raw.autocommit and conn.transaction_status == TransactionStatus.IDLE:
        raw.execute("SELECT")  # the transaction that `atomic` asked for, begun by psycopg

    def send() -> PGresult:
        return conn.exec_params(sql.encode(), data, types, [_BINARY] * len(data), _BINARY)

    result = _run(connection, sql, values, send)
    columns, value = range(result.nfields), result.get_value
    return [[value(number, column) for column in columns] for number in range(result.ntuples)]


def begin(connection: "BaseDatabaseWrapper", sql: str) -> list[bytes | None]:
    """Run one statement, opening the transaction that `atomic` asked for in the same trip.

    Args:
        connection: Inside `atomic`.
        sql: Without values of others: it is sent as text.

    Returns:
        The first row, as text.
    """
    raw: Connection[Any] = connection.connection
    conn = raw.pgconn
    plain = (raw.isolation_level, raw.read_only, raw.deferrable) == (None, None, None)
    if conn.transaction_status == TransactionStatus.IDLE and not plain:
        raw.execute("SELECT")  # psycopg begins as this installation has set it up
    idle = conn.transaction_status == TransactionStatus.IDLE

    def send() -> PGresult:
        return conn.exec_((f"BEGIN;{sql}" if idle else sql).encode())

    result = _run(connection, sql, (), send)
    return [result.get_value(0, column) for column in range(result.nfields)]


def _run(
    connection: "BaseDatabaseWrapper", sql: str, values: object, send: Callable[[], PGresult]
) -> PGresult:
    def execute(*_: object) -> PGresult:
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            result = send()
            if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
                _refuse(connection, result)
        return result

    for hook in reversed(connection.execute_wrappers):
        execute = partial(hook, execute)
    found: PGresult = execute(sql, values, False, {"connection": connection, "cursor": None})
    return found


def _refuse(connection: "BaseDatabaseWrapper", result: PGresult) -> NoReturn:
    conn = connection.connection.pgconn
    if conn.status == ConnStatus.BAD:
        raise OperationalError(conn.error_message.decode(errors="replace").strip())
    raise error_from_result(result, encoding="utf-8")
