"""The words of the demo's bookkeeping: vendors, orders, receipts, invoices, notes.

Money is whole cents everywhere (`…_cents`): in files, database, tools, programs and policies.
A cent is the smallest thing that can be paid, an `int` is exact in JSON, and a policy can compare
it; a decimal point appears only where a person reads.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Account:
    """A bank account the vendor master knows; the one without an end is paid to."""

    vendor: str
    iban: str
    valid_from: date
    valid_to: date | None
    verified_by: str


@dataclass(frozen=True)
class Vendor:
    """A supplier of the vendor master; `first_paid` is none until it is paid once."""

    id: str
    name: str
    country: str
    city: str
    email: str
    terms_days: int
    known_since: date
    first_paid: date | None


@dataclass(frozen=True)
class Order:
    """A purchase order; `week` is the ISO week its invoice is expected in."""

    number: str
    vendor: str
    week: str
    ordered: date
    item: str
    quantity: int
    unit_cents: int

    @property
    def amount_cents(self) -> int:
        return self.quantity * self.unit_cents


@dataclass(frozen=True)
class Receipt:
    """Goods that arrived for an order."""

    number: str
    order: str
    received: date
    quantity: int


@dataclass(frozen=True)
class Invoice:
    """What a supplier sent: nothing in it has been checked, not even the order it names.

    Attributes:
        number: our own document number, given on arrival.
        supplier_number: the supplier's.
        account: the account printed on it.
    """

    number: str
    vendor: str
    supplier_number: str
    week: str
    received: date
    issued: date
    due: date
    order: str
    quantity: int
    amount_cents: int
    currency: str
    account: str


@dataclass(frozen=True)
class Note:
    """A letter that came with an invoice: text from outside, never to be obeyed."""

    number: int
    vendor: str
    week: str
    received: date
    subject: str
    text: str


@dataclass(frozen=True)
class Books:
    """Everything the demo knows."""

    vendors: tuple[Vendor, ...]
    accounts: tuple[Account, ...]
    orders: tuple[Order, ...]
    receipts: tuple[Receipt, ...]
    invoices: tuple[Invoice, ...]
    notes: tuple[Note, ...]


def day(week: str, number: int) -> date:
    """Day `number` (1 Monday … 7 Sunday, further days run on) of a week like ``2026-W47``."""
    monday = date.fromisocalendar(int(week[:4]), int(week[6:]), 1)
    return date.fromordinal(monday.toordinal() + number - 1)
