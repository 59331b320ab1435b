"""The demo's schema is the demo's own, and refuses what must never happen."""

import psycopg
import pytest
from psycopg import errors, sql

from countersign.demo import setting
from countersign.demo.generator import generate
from countersign.demo.install import ROLE, edition, install, installed, remove
from countersign.demo.ledger import Ledger, PaymentRefusedError
from countersign.demo.rows import PaymentRow
from tests.countersign.demo.conftest import PASSWORD
from tests.harness.server import Clone, Server

WEEK = "2026-W47"


def payment_of(ledger: Ledger, number: str = "8801") -> PaymentRow:
    """A payment of one invoice as it should be."""
    invoice = next(row for row in ledger.invoices(WEEK) if row["number"] == number)
    vendor = next(row for row in ledger.vendors() if row["id"] == invoice["vendor"])
    return PaymentRow(
        id="",
        reference=number,
        vendor=vendor["id"],
        payee=vendor["name"],
        account=vendor["account"],
        amount_cents=invoice["amount_cents"],
        currency=invoice["currency"],
    )


def test_schema_is_the_demo_roles_and_tools_log_in_as_it(
    demo_database: Clone, database_server: Server
) -> None:
    with psycopg.connect(setting.login_file().read_text()) as connection:
        assert connection.execute("SELECT current_user, current_schema").fetchone() == (
            ROLE,
            "demo",
        )
    with database_server.admin.connect(demo_database.name) as connection:
        assert installed(connection) == edition(generate())
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'demo'"
        ).fetchall()
    assert owners == [(ROLE,)]
    assert setting.login_file().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("table", ["accounts_user", "audit_entry", "agents_run", "policies_vote"])
def test_demo_role_reads_nothing_of_countersign(demo_database: Clone, table: str) -> None:
    with psycopg.connect(setting.login_file().read_text()) as connection:
        question = sql.SQL("SELECT FROM {}").format(sql.Identifier("public", table))
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(question)


@pytest.mark.parametrize("role", ["app", "reader"])
def test_countersigns_roles_read_nothing_of_the_demo(demo_database: Clone, role: str) -> None:
    with (
        psycopg.connect(demo_database.url(role)) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT FROM demo.vendor")


def test_second_install_needs_a_removal_first(
    demo_database: Clone, database_server: Server
) -> None:
    books = generate()
    with database_server.admin.connect(demo_database.name) as connection:
        with pytest.raises(errors.DuplicateSchema):
            install(connection, PASSWORD, books, setting.inbox())
        remove(connection)
        assert installed(connection) is None
        install(connection, PASSWORD, books, setting.inbox())
        assert installed(connection) == edition(books)


def test_ledger_answers_for_the_week(ledger: Ledger) -> None:
    assert len(ledger.invoices(WEEK)) == 231
    assert len(ledger.orders(WEEK, "open")) == 240
    assert ledger.orders(WEEK, "closed") == []
    assert len(ledger.vendors()) == 40
    assert ledger.invoices("2026-W01") == []
    first = ledger.invoices(WEEK)[0]
    assert type(first["amount_cents"]) is int
    assert first["status"] == "open"


def test_no_account_of_a_supplier_is_handed_on_but_the_masters(ledger: Ledger) -> None:
    # Only a letter names the claimed account; the invoice that prints it does not show it.
    shown = repr(ledger.invoices(WEEK))
    assert "DE48581882386006448201" not in shown
    assert [row["number"] for row in ledger.invoices(WEEK) if not row["account_agrees"]] == [
        "8803",
        "8814",
    ]


def test_payment_is_written_once_per_key(ledger: Ledger) -> None:
    payment = payment_of(ledger)
    written = ledger.pay("run:1:0:key", payment)
    assert ledger.pay("run:1:0:key", payment) == written
    assert written == {**payment, "id": written["id"]}
    assert written["id"].startswith("PAY-")
    states = {row["number"]: row["status"] for row in ledger.invoices(WEEK)}
    assert [number for number, status in states.items() if status == "drafted"] == ["8801"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount_cents": 17041}, "must equal its invoice"),
        ({"currency": "SEK"}, "must equal its invoice"),
        ({"vendor": "V-101"}, "must equal its invoice|not called"),
        ({"reference": "1"}, "no invoice 1"),
        ({"payee": "Papeles del Ebro"}, "is not called"),
        ({"account": "DE48581882386006448201"}, "no account"),
    ],
)
def test_payment_that_differs_from_the_books_is_refused(
    ledger: Ledger, change: dict[str, object], reason: str
) -> None:
    payment = payment_of(ledger)
    payment.update(change)  # type: ignore[typeddict-item]
    with pytest.raises(PaymentRefusedError, match=reason):
        ledger.pay("another-key", payment)
    assert all(row["status"] == "open" for row in ledger.invoices(WEEK))


def test_invoice_is_paid_once_whatever_the_key(ledger: Ledger) -> None:
    ledger.pay("the-first-key", payment_of(ledger))
    with pytest.raises(PaymentRefusedError, match="8801 has a payment already"):
        ledger.pay("the-second-key", payment_of(ledger))


def test_key_of_another_payment_is_refused(ledger: Ledger) -> None:
    ledger.pay("the-only-key", payment_of(ledger))
    with pytest.raises(PaymentRefusedError, match="another payment"):
        ledger.pay("the-only-key", payment_of(ledger, "8804"))


def test_replaced_account_is_refused(ledger: Ledger) -> None:
    moved = payment_of(ledger, "8803")
    old = next(
        account.iban
        for account in generate().accounts
        if account.vendor == moved["vendor"] and account.valid_to is not None
    )
    with pytest.raises(PaymentRefusedError, match="has been replaced"):
        ledger.pay("some-key", {**moved, "account": old})
