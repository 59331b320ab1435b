"""Statements in PostgreSQL's binary form keep what Django's own guarantee."""

from django.db import connection, transaction

from audit import wire
from tests.harness.server import Clone


def test_a_statement_on_the_wire_joins_the_transaction_that_was_asked_for(
    committing_database: Clone,
) -> None:
    """`atomic` begins with the first statement: sent past psycopg, it would commit by itself."""
    sql = "SELECT pg_current_xact_id()::text::bigint"
    with transaction.atomic():
        first = wire.row(connection, sql + " + $1", [wire.bigint(0)])
        second = wire.row(connection, sql + " + $1", [wire.bigint(0)])
        assert first == second
    assert wire.row(connection, sql + " + $1", [wire.bigint(0)]) != second


def test_a_statement_without_a_row_and_with_null(database: Clone) -> None:
    assert wire.row(connection, "SELECT 1 WHERE $1 = ''", [wire.text("x")]) is None
    assert wire.row(connection, "SELECT NULL, $1", [wire.text("ü")]) == [None, "ü".encode()]
