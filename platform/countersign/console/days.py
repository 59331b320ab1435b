"""The last two weeks of a workspace as bars, one for each day. Pure.

Heights are shares of the highest day. A day on which anything happened has a bar that can be seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from agents.selectors.spend import DaySpend
from countersign.console import words

DAYS = 14
STRIDE, WIDTH, HEIGHT, LEAST = 20, 14, 60, 2
"""Of a drawing that is scaled to the page: bar to bar, a bar, the highest, the least."""
OUTCOMES = {"allow": "allowed", "review": "asked for signatures", "deny": "refused"}


@dataclass(frozen=True)
class Bar:
    """One part of one day's bar; `tone` picks its colour, `text` says what it stands for."""

    x: int
    y: int
    height: int
    tone: str
    text: str


@dataclass(frozen=True)
class Total:
    """What the bars of one tone come to."""

    sign: str
    tone: str
    text: str


@dataclass(frozen=True)
class Chart:
    """One drawing, with the totals beside it and every number in `rows` of a table."""

    bars: tuple[Bar, ...]
    totals: tuple[Total, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[date, tuple[str, ...]], ...]
    first: date
    last: date

    width = STRIDE * (DAYS - 1) + WIDTH
    height = HEIGHT
    bar_width = WIDTH


def since(today: date) -> date:
    """The first day that is drawn."""
    return today - timedelta(days=DAYS - 1)


def decisions(counts: Mapping[tuple[date, str], int], today: date) -> Chart:
    """How often the policy allowed, asked for signatures and refused."""
    days = _days(today)
    amounts = [tuple(counts.get((day, outcome), 0) for outcome in OUTCOMES) for day in days]
    known = [words.word("outcome", outcome) for outcome in OUTCOMES]
    totals = tuple(
        Total(word.sign, word.tone, f"{sum(column):,} {said}")
        for word, said, column in zip(
            known, OUTCOMES.values(), zip(*amounts, strict=True), strict=True
        )
    )
    shown = [tuple(f"{number:,}" for number in row) for row in amounts]
    return Chart(
        _bars(days, amounts, [word.tone for word in known], shown),
        totals,
        tuple(OUTCOMES.values()),
        _rows(days, amounts, shown),
        days[0],
        today,
    )


def spend(rows: Sequence[DaySpend], today: date) -> Chart:
    """What models cost, in the currency that most was spent in; tokens where none has a price."""
    days = _days(today)
    paid: dict[str, int] = {}
    for row in rows:
        paid[row.currency] = paid.get(row.currency, 0) + row.cost_micros
    currency = max(paid, key=lambda each: paid[each], default="")
    priced = bool(paid.get(currency))
    amounts = [
        (sum(_amount(row, currency, priced=priced) for row in rows if row.day == day),)
        for day in days
    ]
    shown = [(_words(row[0], currency, priced=priced),) for row in amounts]
    total = _words(sum(row[0] for row in amounts), currency, priced=priced)
    return Chart(
        _bars(days, amounts, [words.LIVE], shown),
        (Total("■", words.LIVE, total),),
        ("cost" if priced else "tokens",),
        _rows(days, amounts, shown),
        days[0],
        today,
    )


def _amount(row: DaySpend, currency: str, *, priced: bool) -> int:
    if not priced:
        return row.tokens
    return row.cost_micros if row.currency == currency else 0


def _words(amount: int, currency: str, *, priced: bool) -> str:
    return words.cost(amount, currency) if priced else words.count(amount, "token")


def _days(today: date) -> list[date]:
    return [since(today) + timedelta(days=number) for number in range(DAYS)]


def _bars(
    days: Sequence[date],
    amounts: Sequence[tuple[int, ...]],
    tones: Sequence[str],
    shown: Sequence[tuple[str, ...]],
) -> tuple[Bar, ...]:
    highest = max(map(sum, amounts)) or 1
    bars = []
    for place, (day, parts, texts) in enumerate(zip(days, amounts, shown, strict=True)):
        top = HEIGHT
        for part, tone, text in zip(parts, tones, texts, strict=True):
            if part:
                height = max(round(HEIGHT * part / highest), LEAST)
                top = max(top - height, 0)
                bars.append(Bar(place * STRIDE, top, height, tone, f"{day:%-d %b}: {text}"))
    return tuple(bars)


def _rows(
    days: Sequence[date], amounts: Sequence[tuple[int, ...]], shown: Sequence[tuple[str, ...]]
) -> tuple[tuple[date, tuple[str, ...]], ...]:
    """Newest first, and only days on which anything happened."""
    busy = [(day, text) for day, row, text in zip(days, amounts, shown, strict=True) if any(row)]
    return tuple(reversed(busy))
