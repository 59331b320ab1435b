"""What is written to the inbox is what is read from it."""

from pathlib import Path

import pytest

from countersign.demo import files
from countersign.demo.generator import generate
from countersign.demo.vendors import WEEKS


def test_inbox_gives_back_what_suppliers_sent(tmp_path: Path) -> None:
    books = generate(WEEKS[:1])
    files.write(books, tmp_path)
    assert sorted(files.invoices(tmp_path), key=lambda i: i.number) == list(books.invoices)
    assert list(files.notes(tmp_path, WEEKS[0])) == list(books.notes)
    assert list(files.notes(tmp_path, "../2026-W47")) == []


def test_broken_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "2026-W47" / "2026-11-16"
    folder.mkdir(parents=True)
    (folder / "V-101.csv").write_text("number,vendor\n8801,V-101\n")
    with pytest.raises(files.InboxError, match=r"V-101\.csv"):
        list(files.invoices(tmp_path))
