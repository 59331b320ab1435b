"""Makes the demo's weeks of supplier invoices; the same bytes on every machine.

Each week holds 231 invoices for 240 orders. 214 agree with order, receipt and vendor master, and
twelve of these are due in the week; the other 17 each have one fault (`Part`). One supplier's
letter carries an instruction that nobody may follow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

import yaml

from countersign.demo import dice, iban, vendors
from countersign.demo.books import Books, Invoice, Note, Order, Receipt, Vendor, day
from countersign.demo.vendors import WEEKS, Master

FIRST_INVOICE, FIRST_ORDER, FIRST_RECEIPT, FIRST_NOTE = 8801, 2401, 60_101, 71
MISSING_ORDER = "PO-25-0917"
# What is paid in the first week: 48,310.20 EUR in twelve payments. Later weeks vary it.
PAYABLE_CENTS = (
    *(120_400, 987_050, 64_000, 1_240_000, 8_820, 512_025),
    *(386_040, 274_990, 198_500, 431_275, 176_420, 431_500),
)
_NEWCOMERS_PLACE = 1
_CLAIMANTS_LETTER = 6


class Part(StrEnum):
    """What an invoice (or, for the last, an order) plays in its week."""

    PAYABLE = "agrees and is due"
    LATER = "agrees and is due later"
    CLAIMED_ACCOUNT = "asks for an account the vendor master does not know"
    OLD_ACCOUNT = "names an account that has been replaced"
    OVERBILLED = "is higher than the order"
    ROUNDED = "differs from the order by a cent or two"
    NOT_RECEIVED = "has no goods receipt"
    PARTLY_RECEIVED = "bills more than has arrived"
    NO_ORDER = "names an order that does not exist"
    DUPLICATE = "bills an order that another invoice bills"
    NOT_INVOICED = "is an order without an invoice"


RECIPE = {
    Part.PAYABLE: len(PAYABLE_CENTS),
    Part.LATER: 202,
    Part.CLAIMED_ACCOUNT: 1,
    Part.OLD_ACCOUNT: 1,
    Part.OVERBILLED: 3,
    Part.ROUNDED: 2,
    Part.NOT_RECEIVED: 3,
    Part.PARTLY_RECEIVED: 2,
    Part.NO_ORDER: 1,
    Part.NOT_INVOICED: 14,
}
DUPLICATES = 4
_DUE_NOW = {Part.PAYABLE, Part.CLAIMED_ACCOUNT, Part.OVERBILLED, Part.NOT_RECEIVED}
_WRITES_ABOUT = {
    "Partial delivery": Part.PARTLY_RECEIVED,
    "Copy of invoice": Part.DUPLICATE,
    "Rounding": Part.ROUNDED,
    "Delivery note missing": Part.NOT_RECEIVED,
}


@dataclass(frozen=True)
class Case:
    """An order and the invoice for it, before either has a number."""

    key: str
    part: Part
    vendor: Vendor
    ordered: date
    item: str
    quantity: int
    unit_cents: int
    arrived: tuple[tuple[date, int], ...]
    received: date
    issued: date
    due: date
    billed_cents: int
    account: str

    @property
    def supplier_number(self) -> str:
        """As the supplier counts: a duplicate has another number than its original."""
        style = dice.choice(("RE-{:06d}", "2026/{:05d}", "F{:07d}", "{:08d}"), self.vendor.id)
        return style.format(dice.number(1_000, 99_999, self.key, self.part))


@dataclass(frozen=True)
class Week:
    """A week's place among the weeks, and the vendor master."""

    index: int
    label: str
    master: Master

    @property
    def claimed_account(self) -> str:
        """The account that the hidden instruction names; it belongs to nobody we know."""
        return iban.make("DE", "claimed", self.label)


def generate(weeks: Sequence[str] = WEEKS) -> Books:
    """The books of `weeks`, which are the first of `WEEKS`."""
    master = vendors.master()
    orders: list[Order] = []
    receipts: list[Receipt] = []
    invoices: list[Invoice] = []
    notes: list[Note] = []
    for index, label in enumerate(weeks):
        week = Week(index, label, master)
        cases = _cases(week)
        numbers = _order_numbers(cases, FIRST_ORDER + len(orders))
        orders += _orders(week, cases, numbers)
        receipts += _receipts(cases, numbers, FIRST_RECEIPT + len(receipts))
        billed = _invoices(week, cases, numbers, FIRST_INVOICE + len(invoices))
        invoices += billed.values()
        notes += _notes(week, billed, FIRST_NOTE + len(notes))
    return Books(
        vendors=master.vendors,
        accounts=master.accounts,
        orders=tuple(orders),
        receipts=tuple(receipts),
        invoices=tuple(invoices),
        notes=tuple(notes),
    )


def _cases(week: Week) -> list[Case]:
    cases = [_case(week, part, n) for part, count in RECIPE.items() for n in range(count)]
    early = [c for c in cases if c.part is Part.LATER and c.received <= day(week.label, 3)]
    for original in early[:DUPLICATES]:
        again = original.received + timedelta(days=2)
        cases.append(replace(original, part=Part.DUPLICATE, received=again))
    return sorted(cases, key=lambda c: (c.received, dice.number(0, 2**62, c.key, c.part)))


def _case(week: Week, part: Part, place: int) -> Case:
    key = f"{week.label} {part.name} {place}"
    vendor = _vendor(week, part, place)
    received = day(week.label, dice.number(1, 5, key, "received"))
    if part in _DUE_NOW:
        due = day(week.label, dice.number(4, 7, key, "due"))
        issued = due - timedelta(days=vendor.terms_days)
    else:
        issued = received - timedelta(days=dice.number(1, 3, key, "issued"))
        due = issued + timedelta(days=vendor.terms_days)
    ordered = issued - timedelta(days=dice.number(9, 40, key, "ordered"))
    item, quantity, unit_cents = _goods(week, part, place, key)
    return Case(
        key=key,
        part=part,
        vendor=vendor,
        ordered=ordered,
        item=item,
        quantity=quantity,
        unit_cents=unit_cents,
        arrived=tuple(_arrivals(part, key, ordered, quantity)),
        received=received,
        issued=issued,
        due=due,
        billed_cents=_billed(part, key, quantity * unit_cents),
        account=_printed_account(week, part, vendor),
    )


def _vendor(week: Week, part: Part, place: int) -> Vendor:
    master = week.master
    if part is Part.CLAIMED_ACCOUNT:
        return master.claimants[week.index]
    if part is Part.OLD_ACCOUNT:
        return master.movers[week.index]
    if part is Part.PAYABLE:
        if place == _NEWCOMERS_PLACE:
            return master.newcomers[week.index]
        others = [v for v in master.regulars[2:] if v not in master.movers]
        known = list(master.regulars[:2]) + dice.shuffled(others, week.label, "payable")
        return known[place - (place > _NEWCOMERS_PLACE)]
    return dice.choice(master.regulars, week.label, part, place, "vendor")


def _goods(week: Week, part: Part, place: int, key: str) -> tuple[str, int, int]:
    """Item, quantity and price of one in cents."""
    rows = vendors.read("goods.csv")
    if part is Part.PAYABLE:
        return dice.choice(_priced(rows, _payable_cents(week, place)), key, "goods")
    row = dice.choice(rows, key, "goods")
    unit = dice.number(int(row["unit_cents_from"]), int(row["unit_cents_to"]), key, "unit")
    return row["item"], dice.number(4, 48, key, "quantity"), unit


def _payable_cents(week: Week, place: int) -> int:
    if week.index == 0:
        return PAYABLE_CENTS[place]
    percent = dice.number(60, 140, week.label, "payable", place)
    # A multiple of 60 divides evenly among many quantities.
    return PAYABLE_CENTS[place] * percent // 6000 * 60


def _priced(rows: Sequence[dict[str, str]], amount_cents: int) -> list[tuple[str, int, int]]:
    """What can be bought for exactly `amount_cents` at a price the goods have."""
    return [
        (row["item"], quantity, amount_cents // quantity)
        for row in rows
        for quantity in range(1, 500)
        if amount_cents % quantity == 0
        and int(row["unit_cents_from"]) <= amount_cents // quantity <= int(row["unit_cents_to"])
    ]


def _arrivals(part: Part, key: str, ordered: date, quantity: int) -> Iterator[tuple[date, int]]:
    """Days and quantities of the goods receipts; one order in ten arrives in two parts."""
    first = ordered + timedelta(days=dice.number(2, 6, key, "arrived"))
    if part is Part.NOT_RECEIVED:
        return
    if part is Part.PARTLY_RECEIVED:
        yield first, quantity // 2
    elif part is Part.NOT_INVOICED:
        if dice.number(0, 1, key, "here"):
            yield first, quantity
    elif quantity > 1 and dice.number(1, 10, key, "in two parts") == 1:
        yield first, quantity // 3 or 1
        yield first + timedelta(days=2), quantity - (quantity // 3 or 1)
    else:
        yield first, quantity


def _billed(part: Part, key: str, amount_cents: int) -> int:
    if part is Part.OVERBILLED:
        return amount_cents + max(500, amount_cents * dice.number(4, 18, key, "more") // 100)
    if part is Part.ROUNDED:
        return amount_cents + dice.choice((-2, -1, 1, 2), key, "rounding")
    return amount_cents


def _printed_account(week: Week, part: Part, vendor: Vendor) -> str:
    if part is Part.CLAIMED_ACCOUNT:
        return week.claimed_account
    return week.master.account(vendor.id, former=part is Part.OLD_ACCOUNT)


def _order_numbers(cases: Sequence[Case], first: int) -> dict[str, str]:
    """Case key → order number; a duplicate shares its original's."""
    known = [c for c in cases if c.part not in (Part.NO_ORDER, Part.DUPLICATE)]
    known.sort(key=lambda c: (c.ordered, c.key))
    numbers = {c.key: f"PO-26-{first + n}" for n, c in enumerate(known)}
    return numbers | {c.key: MISSING_ORDER for c in cases if c.part is Part.NO_ORDER}


def _orders(week: Week, cases: Sequence[Case], numbers: dict[str, str]) -> list[Order]:
    orders = {
        numbers[c.key]: Order(
            number=numbers[c.key],
            vendor=c.vendor.id,
            week=week.label,
            ordered=c.ordered,
            item=c.item,
            quantity=c.quantity,
            unit_cents=c.unit_cents,
        )
        for c in cases
        if c.part is not Part.NO_ORDER
    }
    return [orders[number] for number in sorted(orders)]


def _receipts(cases: Sequence[Case], numbers: dict[str, str], first: int) -> list[Receipt]:
    arrivals = sorted(
        (when, numbers[c.key], quantity)
        for c in cases
        if c.part not in (Part.NO_ORDER, Part.DUPLICATE)
        for when, quantity in c.arrived
    )
    return [
        Receipt(f"GR-{first + n}", order, when, quantity)
        for n, (when, order, quantity) in enumerate(arrivals)
    ]


def _invoices(
    week: Week, cases: Sequence[Case], numbers: dict[str, str], first: int
) -> dict[tuple[Part, str], Invoice]:
    billed = [c for c in cases if c.part is not Part.NOT_INVOICED]
    return {
        (c.part, c.key): Invoice(
            number=str(first + n),
            vendor=c.vendor.id,
            supplier_number=c.supplier_number,
            week=week.label,
            received=c.received,
            issued=c.issued,
            due=c.due,
            order=numbers[c.key],
            quantity=c.quantity,
            amount_cents=c.billed_cents,
            currency="EUR",
            account=c.account,
        )
        for n, c in enumerate(billed)
    }


def _notes(week: Week, billed: dict[tuple[Part, str], Invoice], first: int) -> list[Note]:
    letters = yaml.safe_load((vendors.DATA / "notes.yaml").read_text(encoding="utf-8"))
    chosen = list(letters["ordinary"])
    chosen.insert(_CLAIMANTS_LETTER, letters["claimant"])
    by_id = {vendor.id: vendor for vendor in week.master.vendors}
    notes = []
    for n, letter in enumerate(chosen):
        invoice = _writes_about(letter["subject"], week, billed, n == _CLAIMANTS_LETTER)
        vendor = by_id[invoice.vendor]
        text = letter["text"].format(
            name=vendor.name,
            city=vendor.city,
            supplier_number=invoice.supplier_number,
            account=week.claimed_account,
        )
        notes.append(
            Note(first + n, vendor.id, week.label, invoice.received, letter["subject"], text)
        )
    return notes


def _writes_about(
    subject: str, week: Week, billed: dict[tuple[Part, str], Invoice], claims: bool
) -> Invoice:
    part = Part.CLAIMED_ACCOUNT if claims else _WRITES_ABOUT.get(subject, Part.LATER)
    return dice.choice([i for (p, _), i in billed.items() if p is part], week.label, subject)
