"""The demo's vendor master: suppliers and their bank accounts, with the changes of both."""

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from countersign.demo import dice, iban
from countersign.demo.books import Account, Vendor, day

DATA = Path(__file__).parent / "data"
WEEKS = ("2026-W47", "2026-W48", "2026-W49", "2026-W50")
_FIRST_MOVED = 18


@dataclass(frozen=True)
class Master:
    """The suppliers by the part they play; a newcomer, a claimant and a mover for each week.

    Attributes:
        newcomers: paid for the first time in their week, to an account changed days before.
        claimants: their letter asks for an account that nobody has verified.
    """

    regulars: tuple[Vendor, ...]
    newcomers: tuple[Vendor, ...]
    claimants: tuple[Vendor, ...]
    accounts: tuple[Account, ...]

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        return self.regulars + self.claimants + self.newcomers

    @property
    def movers(self) -> tuple[Vendor, ...]:
        """Suppliers who changed their bank weeks ago and still print the old account."""
        return _movers(self.regulars)

    def account(self, vendor: str, *, former: bool = False) -> str:
        """The number of the vendor's account, or of the one before."""
        return next(
            account.iban
            for account in self.accounts
            if account.vendor == vendor and (account.valid_to is not None) is former
        )


@cache
def read(name: str) -> list[dict[str, str]]:
    """The rows of a table in the data folder."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def master() -> Master:
    """The vendor master of all weeks."""
    parts: dict[str, list[Vendor]] = {"regular": [], "claimant": [], "newcomer": []}
    for row in read("vendors.csv"):
        group = parts[row["part"]]
        group.append(_vendor(row, len(group)))
    regulars, newcomers, claimants = (
        tuple(parts[part]) for part in ("regular", "newcomer", "claimant")
    )
    accounts = tuple(_accounts(regulars, newcomers, claimants))
    return Master(regulars, newcomers, claimants, accounts)


def _vendor(row: dict[str, str], place: int) -> Vendor:
    newcomer = row["part"] == "newcomer"
    since = day(WEEKS[0], -dice.number(200, 3000, "since", row["id"]))
    if newcomer:
        since = day(WEEKS[place], -20)
    return Vendor(
        id=row["id"],
        name=row["name"],
        country=row["country"],
        city=row["city"],
        email=f"accounts@{_domain(row['name'])}.example",
        terms_days=int(row["terms_days"]),
        known_since=since,
        first_paid=None if newcomer else since + timedelta(days=30),
    )


def _domain(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("Ł", "L").replace("ł", "l"))
    words = "".join(c if c.isalnum() else " " for c in plain if c.isascii()).lower().split()
    return "-".join(words[:2])


def _movers(regulars: Sequence[Vendor]) -> tuple[Vendor, ...]:
    return tuple(regulars[_FIRST_MOVED : _FIRST_MOVED + len(WEEKS)])


def _accounts(
    regulars: Sequence[Vendor], newcomers: Sequence[Vendor], claimants: Sequence[Vendor]
) -> Iterator[Account]:
    changes = {v.id: day(week, -1) for v, week in zip(newcomers, WEEKS, strict=True)}
    changes |= {v.id: day(week, -20) for v, week in zip(_movers(regulars), WEEKS, strict=True)}
    for vendor in (*regulars, *claimants, *newcomers):
        start, changed = vendor.known_since, changes.get(vendor.id)
        if changed is not None:
            old = iban.make(vendor.country, vendor.id, "old")
            yield Account(vendor.id, old, start, changed, "contract")
            start = changed
        how = "contract" if changed is None else "call back"
        yield Account(vendor.id, iban.make(vendor.country, vendor.id), start, None, how)
