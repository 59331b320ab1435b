"""The demo's books are the same everywhere and hold exactly the faults they promise."""

from collections import Counter

import pytest

from countersign.demo import iban
from countersign.demo.books import Books, Invoice, day
from countersign.demo.generator import generate
from countersign.demo.install import edition
from countersign.demo.vendors import WEEKS

FAULTS = {
    "no such order": 1,
    "billed twice": 4,
    "differs by cents": 2,
    "over the order": 3,
    "not received": 3,
    "received in part": 2,
    "other account": 2,
}


@pytest.fixture(scope="module")
def books() -> Books:
    return generate()


def faults(books: Books, week: str) -> dict[str, str]:
    """Each invoice's first fault, found by looking at it; empty for those that agree."""
    orders = {order.number: order for order in books.orders}
    accounts = {a.vendor: a.iban for a in books.accounts if a.valid_to is None}
    arrived: Counter[str] = Counter()
    for receipt in books.receipts:
        arrived[receipt.order] += receipt.quantity
    seen: set[str] = set()
    found = {}
    for invoice in (i for i in books.invoices if i.week == week):
        order = orders.get(invoice.order)
        more = invoice.amount_cents - order.amount_cents if order else 0
        checks = {
            "no such order": order is None,
            "billed twice": invoice.order in seen,
            "differs by cents": 0 < abs(more) <= 2,
            "over the order": more > 2,
            "not received": order is not None and arrived[order.number] == 0,
            "received in part": arrived[invoice.order] < invoice.quantity,
            "other account": invoice.account != accounts[invoice.vendor],
        }
        seen.add(invoice.order)
        found[invoice.number] = next((name for name, holds in checks.items() if holds), "")
    return found


def due(books: Books, week: str) -> list[Invoice]:
    agree = {number for number, fault in faults(books, week).items() if not fault}
    return [i for i in books.invoices if i.number in agree and i.due <= day(week, 7)]


def test_books_are_the_same_on_every_machine(books: Books) -> None:
    assert generate() == books
    # The edition also pins the schema; a change of either is a new edition and must be meant.
    assert len(edition(books)) == 64
    assert books.invoices[0] == Invoice(**vars(generate(WEEKS[:1]).invoices[0]))


@pytest.mark.parametrize("week", WEEKS)
def test_week_holds_the_planted_faults_and_no_other(books: Books, week: str) -> None:
    counted = Counter(faults(books, week).values())
    assert counted == {"": 214, **FAULTS}


@pytest.mark.parametrize("week", WEEKS)
def test_week_has_240_orders_and_twelve_payments_that_are_due(books: Books, week: str) -> None:
    assert sum(order.week == week for order in books.orders) == 240
    assert len(due(books, week)) == 12


def test_first_week_pays_48_310_euros_and_20_cents(books: Books) -> None:
    assert sum(invoice.amount_cents for invoice in due(books, WEEKS[0])) == 4_831_020


@pytest.mark.parametrize("week", WEEKS)
def test_one_payment_goes_to_a_supplier_never_paid_whose_account_just_changed(
    books: Books, week: str
) -> None:
    vendors = {vendor.id: vendor for vendor in books.vendors}
    new = [i for i in due(books, week) if vendors[i.vendor].first_paid is None]
    since = {a.vendor: a.valid_from for a in books.accounts if a.valid_to is None}
    assert len(new) == 1
    assert 0 <= (new[0].received - since[new[0].vendor]).days <= 7


@pytest.mark.parametrize("week", WEEKS)
def test_one_letter_carries_an_instruction_and_an_account_nobody_knows(
    books: Books, week: str
) -> None:
    letters = [n for n in books.notes if n.week == week and "disregard" in n.text]
    assert [letter.subject for letter in letters] == ["Change of bank details"]
    claimed = next(i.account for i in books.invoices if i.account in letters[0].text)
    assert claimed not in {account.iban for account in books.accounts}
    assert letters[0].vendor not in {invoice.vendor for invoice in due(books, week)}


def test_numbers_are_given_once(books: Books) -> None:
    for rows in (books.orders, books.receipts, books.invoices, books.notes):
        numbers = [row.number for row in rows]
        assert len(set(numbers)) == len(numbers)


def test_every_account_has_right_check_digits(books: Books) -> None:
    assert all(iban.valid(account.iban) for account in books.accounts)
    assert iban.valid("DE89370400440532013000")
    assert not iban.valid("DE89370400440532013001")


def test_goods_arrive_after_they_were_ordered(books: Books) -> None:
    ordered = {order.number: order.ordered for order in books.orders}
    assert all(receipt.received > ordered[receipt.order] for receipt in books.receipts)
    assert all(i.issued <= i.received and i.issued < i.due for i in books.invoices)
