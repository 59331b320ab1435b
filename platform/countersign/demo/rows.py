"""What the demo's tools give back: JSON objects with whole cents and dates as ``2026-11-20``."""

from typing import TypedDict


class InvoiceRow(TypedDict):
    """An invoice as the supplier sent it, but for two things that are ours.

    The account printed on it is compared, never handed on: nobody can pay what nobody reads.

    Attributes:
        account_agrees: whether the account printed on it is the one in the vendor master.
        status: ``open``, or ``drafted`` once a payment draft exists.
    """

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
    account_agrees: bool
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
    """A payment draft for the invoice that `reference` names; the bank takes it from there."""

    id: str
    reference: str
    vendor: str
    payee: str
    account: str
    amount_cents: int
    currency: str


class MailRow(TypedDict):
    """A mail that was put into the local mailbox."""

    id: str
    recipient: str
