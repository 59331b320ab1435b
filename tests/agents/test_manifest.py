"""The manifest: sentences, totals, templates and their filling."""

from dataclasses import replace
from typing import Any

import pytest

from agents import manifest
from agents.manifest import Entry

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
        "Accounts payable wants to create payment 12 times (14,448.00 EUR to 12 recipients) "
        "and send mail once (to 1 recipient), for Alice."
    )


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
