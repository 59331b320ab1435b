"""No claim without a test: every test that the mapping names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "deploy" / "docs" / "compliance.md"
SPECIFICATION = ROOT / "deploy" / "docs" / "log-format.md"


def rows() -> list[str]:
    lines = DOCUMENT.read_text().splitlines()
    heads = ("| clause", "| control")
    return [line for line in lines if line.startswith("| ") and not line.startswith(heads)]


def test_every_row_names_a_test() -> None:
    assert len(rows()) > 25
    for row in rows():
        assert "`tests/" in row.split(" | ")[2], row


@pytest.mark.parametrize("document", [DOCUMENT, SPECIFICATION], ids=lambda path: path.stem)
def test_every_named_test_exists(document: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", document.read_text())
    assert len(named) > 15
    for path, name in named:
        source = (ROOT / path).read_text()
        assert not name or f"def {name}(" in source, f"{path}::{name}"
