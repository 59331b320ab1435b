"""The demo's bookkeeping as its tools use it: four questions and one entry."""

from types import TracebackType
from typing import LiteralString, Self, cast

import psycopg
from psycopg import Connection, errors
from psycopg.rows import DictRow, dict_row

from countersign.demo.rows import InvoiceRow, OrderRow, PaymentRow, ReceiptRow, VendorRow

CONNECT_TIMEOUT_S = 5
_INVOICES = """
    SELECT i.number, i.vendor, v.name AS vendor_name, i.supplier_number, i.order_named AS "order",
        i.received::text, i.issued::text, i.due::text, i.quantity, i.amount_cents, i.currency,
        i.account_printed = a.iban AS account_agrees,
        CASE WHEN p.id IS NULL THEN 'open' ELSE 'drafted' END AS status
    FROM invoice i
    JOIN vendor v ON v.id = i.vendor
    JOIN vendor_account a ON a.vendor = v.id AND a.valid_to IS NULL
    LEFT JOIN payment_draft p ON p.invoice = i.number
    WHERE i.week = %s
    ORDER BY i.number
"""
_ORDERS = """
    SELECT number, vendor, ordered::text, item, quantity, unit_cents, amount_cents, status
    FROM purchase_order
    WHERE week = %s AND (%s = 'any' OR status = %s)
    ORDER BY number
"""
_RECEIPTS = """
    SELECT r.number, r.purchase_order AS "order", r.received::text, r.quantity
    FROM goods_receipt r
    JOIN purchase_order o ON o.number = r.purchase_order
    WHERE o.week = %s
    ORDER BY r.number
"""
_VENDORS = """
    SELECT v.id, v.name, v.country, v.city, v.email, a.iban AS account,
        a.valid_from::text AS account_since, a.verified_by AS account_verified_by,
        coalesce(v.first_paid::text, '') AS first_paid
    FROM vendor v
    JOIN vendor_account a ON a.vendor = v.id AND a.valid_to IS NULL
    ORDER BY v.id
"""
_PAY = """
    INSERT INTO payment_draft
        (idempotency_key, invoice, vendor, payee, account, amount_cents, currency)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (idempotency_key) DO NOTHING
"""
_PAID = """
    SELECT 'PAY-' || id AS id, invoice AS reference, vendor, payee, account, amount_cents,
        currency
    FROM payment_draft
    WHERE idempotency_key = %s
"""
_REFUSALS = {
    "payment_draft_invoice_key": "invoice {reference} has a payment already",
    "payment_equals_invoice": (
        "there is no invoice {reference} of {vendor} over {amount_cents} cents {currency}; "
        "a payment must equal its invoice"
    ),
    "payment_to_vendor_by_name": "{vendor} is not called {payee} in the vendor master",
    "payment_to_known_account": (
        "{vendor} has no account {account} in the vendor master; use the account of get_vendors"
    ),
    "payment_to_current_account": "account {account} of {vendor} has been replaced by another",
}


class PaymentRefusedError(Exception):
    """The bookkeeping refuses the payment and nothing was written; the message says why."""


class Ledger:
    """One connection to the bookkeeping, closed at the end of the ``with`` block."""

    def __init__(self, login: str) -> None:
        """Connect with the libpq key-values in `login`."""
        self._connection: Connection[DictRow] = psycopg.connect(
            login, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def invoices(self, week: str) -> list[InvoiceRow]:
        """All invoices that arrived in `week`, by number."""
        return cast("list[InvoiceRow]", self._rows(_INVOICES, week))

    def orders(self, week: str, status: str) -> list[OrderRow]:
        """Orders whose invoices are expected in `week`, of any status if it is ``any``."""
        return cast("list[OrderRow]", self._rows(_ORDERS, week, status, status))

    def receipts(self, week: str) -> list[ReceiptRow]:
        """Goods receipts for the orders of `week`."""
        return cast("list[ReceiptRow]", self._rows(_RECEIPTS, week))

    def vendors(self) -> list[VendorRow]:
        """Every vendor with its current account, by id."""
        return cast("list[VendorRow]", self._rows(_VENDORS))

    def pay(self, key: str, payment: PaymentRow) -> PaymentRow:
        """Write a payment draft, or give back the one that `key` has written before.

        Raises:
            PaymentRefusedError: A constraint forbids it, or `key` has written something else.
        """
        try:
            self._connection.execute(
                _PAY,
                [
                    *(key, payment["reference"], payment["vendor"], payment["payee"]),
                    *(payment["account"], payment["amount_cents"], payment["currency"]),
                ],
            )
        except errors.IntegrityError as error:
            sentence = _REFUSALS.get(error.diag.constraint_name or "", str(error))
            raise PaymentRefusedError(sentence.format(**payment)) from error
        written = cast("PaymentRow", self._rows(_PAID, key)[0])
        if {**written, "id": ""} != {**payment, "id": ""}:
            raise PaymentRefusedError("this key has been used for another payment")
        return written

    def _rows(self, statement: LiteralString, *values: object) -> list[DictRow]:
        return self._connection.execute(statement, values).fetchall()
