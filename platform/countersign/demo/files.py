"""The supplier's side as files: one CSV of invoices per supplier and day, one text per letter.

    inbox/2026-W47/2026-11-16/V-101.csv
    inbox/2026-W47/notes/0077.txt

The database is filled from these files, as a company's would be, and letters are read from them.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path

from countersign.demo.books import Books, Invoice, Note

_COLUMNS = tuple(field.name for field in fields(Invoice))
_DATES = ("received", "issued", "due")
_NUMBERS = ("quantity", "amount_cents")


class InboxError(Exception):
    """A file of the inbox is missing or not in its form; the message names it."""


def write(books: Books, inbox: Path) -> None:
    """Write what suppliers sent; files that are there already are overwritten with the same."""
    groups: dict[Path, list[Invoice]] = {}
    for invoice in books.invoices:
        folder = inbox / invoice.week / invoice.received.isoformat()
        groups.setdefault(folder / f"{invoice.vendor}.csv", []).append(invoice)
    for file, invoices in groups.items():
        _write_csv(file, invoices)
    for note in books.notes:
        folder = inbox / note.week / "notes"
        folder.mkdir(parents=True, exist_ok=True)
        head = f"From: {note.vendor}\nDate: {note.received.isoformat()}\nSubject: {note.subject}\n"
        (folder / f"{note.number:04d}.txt").write_text(f"{head}\n{note.text}", encoding="utf-8")


def _write_csv(file: Path, invoices: Sequence[Invoice]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(invoice) for invoice in invoices)


def invoices(inbox: Path) -> Iterator[Invoice]:
    """Every invoice of the inbox, by week, day and supplier.

    Raises:
        InboxError: A file is not what suppliers of the demo send.
    """
    for file in sorted(inbox.glob("*/*/*.csv")):
        with file.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                yield _invoice(file, row)


def _invoice(file: Path, row: dict[str, str]) -> Invoice:
    values: dict[str, object] = dict(row)
    try:
        values |= {name: date.fromisoformat(row[name]) for name in _DATES}
        values |= {name: int(row[name]) for name in _NUMBERS}
        return Invoice(**values)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise InboxError(f"{file}: {error}") from error


def notes(inbox: Path, week: str) -> Iterator[Note]:
    """The letters of a week, by number; none for a week without any.

    Raises:
        InboxError: A file is not a letter.
    """
    for file in sorted(inbox.glob("*/notes/*.txt")):
        if file.parent.parent.name == week:
            yield _note(file, week)


def _note(file: Path, week: str) -> Note:
    head, _, text = file.read_text(encoding="utf-8").partition("\n\n")
    found = dict(line.partition(": ")[::2] for line in head.splitlines())
    try:
        return Note(
            number=int(file.stem),
            vendor=found["From"],
            week=week,
            received=date.fromisoformat(found["Date"]),
            subject=found["Subject"],
            text=text,
        )
    except (KeyError, ValueError) as error:
        raise InboxError(f"{file}: {error}") from error
