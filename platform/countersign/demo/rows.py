"""What the demo's tools give back: JSON objects with whole cents and dates as ``2026-11-20``."""

from typing import TypedDict


class InvoiceRow(TypedDict):
    """An invoice as the supplier sent it; `status` is ours: ``open`` or ``drafted``."""

    number: str
    vendor: str
    vendor_name: str
    supplier_number: str
    order: str
    received: str
    issued: str
    due: str
    quantity: int
    amount_cents: int
    currency: str
    account_printed: str
    status: str


class OrderRow(TypedDict):
    """A purchase order of ours."""

    number: str
    vendor: str
    ordered: str
    item: str
    quantity: int
    unit_cents: int
    amount_cents: int
    status: str


class ReceiptRow(TypedDict):
    """Goods that arrived for an order; an order may have several."""

    number: str
    order: str
    received: str
    quantity: int


class VendorRow(TypedDict):
    """A supplier of the vendor master with the one account that may be paid.

    `first_paid` is empty for a supplier who has never been paid.
    """

    id: str
    name: str
    country: str
    city: str
    email: str
    account: str
    account_since: str
    account_verified_by: str
    first_paid: str


class NoteRow(TypedDict):
    """A letter from a supplier: text from outside."""

    number: int
    vendor: str
    received: str
    subject: str
    text: str


class PaymentRow(TypedDict):
    """A payment draft; a person releases it in the bank's own program."""

    id: str
    invoice: str
    vendor: str
    account: str
    amount_cents: int
    currency: str


class MailRow(TypedDict):
    """A mail that was put into the local mailbox."""

    id: str
    recipient: str
