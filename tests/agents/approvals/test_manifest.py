"""The manifest: sentences, totals, templates and their filling."""

from dataclasses import replace
from typing import Any

import pytest

from agents.approvals import manifest
from agents.approvals.manifest import Entry

ROLES = {"vendor": "recipient", "amount": "amount_minor", "currency": "currency"}
TOKEN = "tokentokentoken1"


def entry(position: int, vendor: str, amount: int, currency: str = "EUR", **more: Any) -> Entry:
    return Entry(
        position=position,
        seq=position,
        tool="create_payment",
        version="v" * 64,
        arguments={"vendor": vendor, "amount": amount, "currency": currency, **more},
        origins={"vendor": ["tool:get_vendor"]},
        roles=ROLES,
        tier=3,
        token=f"{TOKEN}{position}",
    )


def test_totals_add_amounts_by_currency_and_count_distinct_recipients() -> None:
    effects = [entry(0, "V-1", 100), entry(1, "V-2", 250), entry(2, "V-1", 7, "SEK")]
    found = manifest.totals(effects)
    assert found.effects == 3
    assert dict(found.amounts) == {"EUR": 350, "SEK": 7}
    assert found.recipients == ("V-1", "V-2")


def test_totals_leave_out_amounts_that_are_not_whole_numbers() -> None:
    assert dict(manifest.totals([entry(0, "V-1", True), entry(1, "V-1", 5)]).amounts) == {"EUR": 5}


def test_sentence_says_who_what_how_much_to_whom_and_for_whom() -> None:
    mail = replace(entry(12, "", 0), tool="send_mail", roles={"vendor": "recipient"})
    effects = [*(entry(n, f"V-{n}", 120_400) for n in range(12)), mail]
    assert manifest.sentence("Accounts payable", "Alice", effects) == (
        "Accounts payable wants to create 12 payments (14,448.00 EUR, to 12 recipients) "
        "and send a mail (to 1 recipient), for Alice."
    )


def test_every_recipient_of_a_list_counts() -> None:
    mail = replace(
        entry(0, "", 0),
        tool="send_mail",
        roles={"to": "recipient"},
        arguments={"to": ["a@b.example", "c@d.example", "a@b.example"]},
    )
    assert manifest.totals([mail]).recipients == ("a@b.example", "c@d.example")
    assert "send a mail (to 2 recipients)" in manifest.sentence("Agent", "Alice", [mail])


@pytest.mark.parametrize("amount", [True, "a lot", {"$placeholder": TOKEN, "path": ["sum"]}])
def test_an_amount_that_cannot_be_added_up_is_said(amount: Any) -> None:
    effects = [entry(0, "V-1", amount), entry(1, "V-2", 500)]
    said = manifest.sentence("Agent", "Alice", effects)
    assert "create 2 payments (5.00 EUR and 1 amount that cannot be added up, to 2" in said
    assert manifest.headline(effects).endswith("· 5.00 EUR · 1 amount that cannot be added up")


def test_a_fraction_of_a_cent_is_not_dropped_silently() -> None:
    units = replace(entry(0, "V-1", 0), arguments={"sum": "12.505"}, roles={"sum": "amount"})
    assert manifest.totals([units]).uncounted == 1


@pytest.mark.parametrize(
    ("tool", "once", "thrice"),
    [
        ("create_payment", "create a payment", "create 3 payments"),
        ("book_entry", "book an entry", "book 3 entries"),
        ("update_address", "update an address", "update 3 addresses"),
        ("pay", "pay once", "pay 3 times"),
        ("note_down", "note down once", "note down 3 times"),
    ],
)
def test_effects_are_counted_in_english(tool: str, once: str, thrice: str) -> None:
    one = replace(entry(0, "V-1", 1), tool=tool)
    assert f"wants to {once} (" in manifest.sentence("Agent", "Alice", [one])
    assert f"wants to {thrice} (" in manifest.sentence("Agent", "Alice", [one, one, one])


def test_headline_names_effects_and_amounts() -> None:
    assert manifest.headline([entry(0, "V-1", 5), entry(1, "V-2", 6)]).endswith("· 0.11 EUR")


def test_digest_depends_on_order() -> None:
    one, two = entry(0, "V-1", 5), entry(1, "V-2", 6)
    assert manifest.digest([one, two]) != manifest.digest([two, one])


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ({"$placeholder": TOKEN, "path": []}, {"id": "P-9", "lines": [{"n/a": 3}]}),
        ({"$placeholder": TOKEN, "path": ["id"]}, "P-9"),
        ({"$placeholder": TOKEN, "path": ["lines", 0, "n/a"]}, 3),
        (f"Payment ⟦{TOKEN}/id⟧ made", "Payment P-9 made"),
        (f"⟦{TOKEN}/lines/0/n~1a⟧", "3"),
        ([{"to": f"⟦{TOKEN}/id⟧"}], [{"to": "P-9"}]),
        ("⟦notatokenofours⟧", "⟦notatokenofours⟧"),
        (17, 17),
    ],
)
def test_fill_puts_real_results_where_the_template_refers_to_them(
    template: Any, filled: Any
) -> None:
    results = {TOKEN: {"id": "P-9", "lines": [{"n/a": 3}]}}
    assert manifest.fill(template, results) == filled


def test_fill_refuses_a_reference_to_a_result_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        manifest.fill({"$placeholder": "unknown-token", "path": []}, {})


def test_tokens_finds_whole_values_and_references_in_text() -> None:
    template = {"a": {"$placeholder": "first-token-1", "path": ["x"]}, "b": ["⟦second-token/y⟧"]}
    assert manifest.tokens(template) == {"first-token-1", "second-token"}


def test_an_amount_in_units_of_the_currency_is_counted_in_hundredths() -> None:
    units = replace(entry(0, "V-1", 0), arguments={"sum": "12.50"}, roles={"sum": "amount"})
    assert dict(manifest.totals([units]).amounts) == {"": 1250}
