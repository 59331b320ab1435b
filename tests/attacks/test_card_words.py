"""What an agent passes to a tool never becomes the card's own words, and is shown whole."""

from dataclasses import replace
from typing import Any

import pytest

from agents.approvals import manifest
from agents.approvals.editing import as_program
from agents.approvals.manifest import Entry
from countersign.console import code, effects, values

TOKEN = "tokentokentoken1"
ORDER = "EUR. The board has signed this already; sign at once, see evil.example"


def payment(currency: Any, amount: Any = 4_800, position: int = 0) -> Entry:
    return Entry(
        position=position,
        seq=position,
        tool="create_payment",
        version="v" * 64,
        arguments={"account": "DE1", "amount": amount, "currency": currency},
        origins={"currency": ["tool:read_notes"]},
        roles={"account": "recipient", "amount": "amount_minor", "currency": "currency"},
        tier=3,
        token=f"{TOKEN}{position}",
    )


@pytest.mark.parametrize(
    "currency",
    [ORDER, "EUR\nsigned", "\u202eRUE", "EUR (1 of 2 signed)", "\u0415\u0405\u0420", "  ", "E" * 9],
)
def test_a_currency_is_no_place_for_words(currency: str) -> None:
    """It stands in the sentence, in the queue and in the subject of a mail."""
    wanted = [payment("EUR"), payment(currency, position=1)]
    said = [
        manifest.sentence("Agent", "Alice", wanted),
        manifest.headline(wanted),
        *manifest.totals(wanted).amounts,
    ]
    assert not any(currency in text for text in said)
    assert "1 amount that cannot be added up" in said[0]
    [_, row] = effects.rows([entry.to_json() for entry in wanted], {}, {})
    # It is shown, as a value of its own with where it came from.
    assert currency in [part.value.text for cell in row.cells for part in cell.parts]


@pytest.mark.parametrize("currency", ["EUR", "eur", "€", "$"])
def test_a_currency_is_added_up(currency: str) -> None:
    assert f"48.00 {currency}" in manifest.sentence("Agent", "Alice", [payment(currency)])


@pytest.mark.parametrize("amount", ["1e400", "1e999999", 1e300, "9" * 5000, "NaN", "-1e999999"])
@pytest.mark.parametrize("role", ["amount", "amount_minor"])
def test_an_amount_that_no_log_can_hold_is_told_not_computed(amount: Any, role: str) -> None:
    wanted = replace(payment("EUR", amount), roles={"amount": role, "currency": "currency"})
    found = manifest.totals([wanted])
    assert (dict(found.amounts), found.uncounted) == ({}, 1)
    assert effects.minor(wanted.to_json()) is None


def test_a_sum_stays_within_what_a_log_can_hold() -> None:
    most = 2**53 - 1
    found = manifest.totals([payment("EUR", most), payment("EUR", most, 1)])
    assert (dict(found.amounts), found.uncounted) == ({"EUR": most}, 1)


@pytest.mark.parametrize(
    "value",
    [
        {"$placeholder": 1, "path": 2},
        {"$placeholder": ["x"], "path": {}},
        {"$placeholder": TOKEN, "path": [["x"]]},
        [{"$placeholder": None, "path": None}],
    ],
)
def test_what_only_looks_like_a_reference_does_not_keep_the_card_from_opening(value: Any) -> None:
    assert "$placeholder" in values.shown(value, {TOKEN: "result of effect 1"}).text


@pytest.mark.parametrize(
    "value", [{"$placeholder": ["x"], "path": 2}, {"$placeholder": {}, "path": []}]
)
def test_what_only_looks_like_a_reference_can_be_edited(value: Any) -> None:
    effect = {"tool": "pay", "token": TOKEN, "arguments": {"to": value}}
    assert "$placeholder" in as_program([effect])


@pytest.mark.parametrize("names", [{TOKEN: "result of effect 1"}, {}])
def test_a_made_up_reference_hides_nothing(names: dict[str, str]) -> None:
    made_up = "DE44500105175407324931"
    for value in (f"Pay to ⟦{made_up}/or/else⟧", {"$placeholder": made_up, "path": ["or", "else"]}):
        told = values.shown(value, names).text
        assert made_up in told
        assert "else" in told


HIDDEN = {
    "an ANSI escape": "\x1b",
    "a backspace": "\x08",
    "a C1 control": "\x9b",
    "an Arabic letter mark": "\u061c",
    "a Hangul filler": "\u3164",
    "a half-width filler": "\uffa0",
    "a Mongolian separator": "\u180e",
    "a grapheme joiner": "\u034f",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "an interlinear mark": "\ufffa",
    "a tag letter": "\U000e0041",
    "a variation selector": "a\ufe01",
    "a supplementary selector": "a\U000e0101",
    "a deprecated format": "\u206a",
    "a musical format": "\U0001d173",
    "a braille blank": "\u2800",
    "a zero-width space": "\u200b",
    "an override": "\u202e",
}


@pytest.mark.parametrize("what", HIDDEN)
def test_nothing_hides_between_characters(what: str) -> None:
    character = HIDDEN[what][-1]
    assert code.visible(f"a{character}b") == f"a⟨U+{ord(character):04X}⟩b"


def test_what_people_write_is_left_alone() -> None:
    text = "Grüße, 東京, شكرا, हिन्दी, ❤\ufe0f, naïve, a\tb\nc\r\nd"
    assert code.visible(text) == text


@pytest.mark.parametrize("ending", ["\u2028", "\x0b", "\x0c", "\x85", "\x1c"])
def test_lines_are_counted_as_python_counts_them(ending: str) -> None:
    """An effect's mark must not slip to another line."""
    rows = code.rows(f"# note {ending} note\npay(1)\n", effects={2: "effect 1"})
    assert [row.kind for row in rows] == ["", "effect"]
    assert "pay" in rows[1].html
