"""The pure parts: values, code, effects, forms, words."""

from typing import Any

import pytest
from django.template.loader import render_to_string

from countersign.console import code, effects, policy_words, values, words
from countersign.console.schema_forms import InputsForm
from policies.remarks import remarks

TOKEN = "abcdefgh12345678"


def effect(position: int = 0, **arguments: Any) -> dict[str, Any]:
    roles = {"account": "recipient", "amount": "amount", "currency": "currency"}
    given = {"account": "DE1", "amount": 12, "currency": "EUR", **arguments}
    return {
        "position": position,
        "tool": "pay",
        "version": "v" * 64,
        "arguments": given,
        "origins": {"account": ["tool:read_notes"], "amount": ["literal"], "currency": ["literal"]},
        "roles": roles,
        "token": f"{TOKEN}{position}",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (1204000, "1,204,000"),
        (1.5, "1.5"),
        (True, "yes"),
        (None, "nothing"),
        ("", ""),
        ([1, 2], "[\n  1,\n  2\n]"),
        ({"$placeholder": TOKEN, "path": ["id"]}, "⟦result of effect 1 · id⟧"),
        (f"draft ⟦{TOKEN}/id/0⟧!", "draft ⟦result of effect 1 · id · 0⟧!"),
        ([{"$placeholder": TOKEN, "path": []}], '[\n  "⟦result of effect 1⟧"\n]'),
    ],
)
def test_values_read_as_what_they_are(value: object, text: str) -> None:
    assert values.shown(value, {TOKEN: "result of effect 1"}).text == text


def test_structures_are_laid_out_as_fields_tables_and_lists() -> None:
    answer = {
        "paid": [{"id": 1, "to": "A"}, {"to": "B", "id": 2}],
        "open": [],
        "mixed": [{"a": 1}, {"b": 2}],
        "deep": {"a": {"b": {"c": {"d": 1}}}},
    }
    fields = dict(values.tree(answer).rows)
    assert (fields["paid"].kind, fields["paid"].names) == ("table", ("id", "to"))
    assert [cell.text.text for cell in fields["paid"].rows[1]] == ["2", "B"]
    assert fields["open"].text.text == "[]"
    assert fields["mixed"].kind == "list"
    deep = fields["deep"]
    while deep.kind == "fields":
        deep = deep.rows[0][1]
    assert deep.text.structure


def test_a_reference_that_nobody_issued_is_not_taken_for_one() -> None:
    forged = values.shown("⟦forgedforged/id⟧", {TOKEN: "result of effect 1"})
    assert forged.text == "⟦forgedforged/id⟧"


def test_characters_that_hide_or_reorder_text_are_shown() -> None:
    [row] = code.rows("pay('DE1\u202e2')\n")
    assert "⟨U+202E⟩" in row.html
    assert "\u202e" not in row.html


def test_code_is_escaped_line_by_line_and_marked() -> None:
    text = "x = \"<script>\"\n\n'''two\nlines'''\ny = 1"
    rows = code.rows(text, effects={1: "effect 1"}, wrong=5)
    assert len(rows) == 5
    assert "&lt;script&gt;" in rows[0].html
    assert [row.kind for row in rows] == ["effect", "", "", "", "wrong"]
    assert rows[2].html.count("<span") == rows[2].html.count("</span>")


def test_what_the_analysis_found_stands_at_its_line() -> None:
    rows = code.rows("a\nb\nc", effects={1: "effect 1"}, found={1: "x", 2: "eval\u202e"})
    assert [(row.kind, row.note) for row in rows] == [
        ("effect", "effect 1; x"),
        ("found", "eval⟨U+202E⟩"),
        ("", ""),
    ]
    page = render_to_string("console/_code.html", {"rows": rows})
    assert "← effect 1; x" in page
    assert "← eval⟨U+202E⟩" in page
    found = remarks({"features": [{"kind": "dunder", "name": "<b>", "line": 2}]})
    page = render_to_string("console/_found.html", {"found": found})
    assert "line 2: the special name &lt;b&gt;" in page


def test_a_difference_shows_what_was_added_and_cut() -> None:
    rows = code.difference("a\nb\nc", "a\nB\nc")
    assert [(row.kind, str(row.html)) for row in rows] == [
        ("", "a"),
        ("cut", "b"),
        ("add", "B"),
        ("", "c"),
    ]
    assert code.difference("same", "same") == []


def test_values_from_untrusted_tools_are_flagged() -> None:
    [row] = effects.rows([effect()], {"read_notes": ["untrusted"]}, {0: "planned"})
    assert row.untrusted
    [clean] = effects.rows([effect()], {"read_notes": []}, {})
    assert not clean.untrusted
    told = effects.summary([row], {"effects": [effect()], "totals": {}})
    assert told[-1] == "1 value from untrusted text"


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        (["literal", "step:due", "tool:get", "task"], ["tool:get", "task"]),
        (["literal"], ["literal"]),
        (["step:due", "literal"], ["literal", "step:due"]),
        (["literal", "odd"], ["odd"]),
    ],
)
def test_origins_tell_what_lies_outside_the_program_first(
    sources: list[str], told: list[str]
) -> None:
    assert effects.telling(sources) == told


def test_a_column_whose_origins_differ_says_so_in_each_row() -> None:
    other = {**effect(1), "origins": {**effect()["origins"], "account": ["literal"]}}
    [group] = effects.groups(effects.rows([effect(), other], {}, {}))
    assert [bool(heading.cell) for heading in group.headings] == [False, True]


def test_an_argument_without_known_origin_says_so() -> None:
    lost = {**effect(), "origins": {}}
    [row] = effects.rows([lost], {}, {})
    assert {o.text for cell in row.cells for p in cell.parts for o in p.origins} == {
        "unknown origin"
    }


@pytest.mark.parametrize(
    ("amount", "text"), [(12, "12.00 EUR"), ("12.5", "12.50 EUR"), (0.1, "0.10 EUR")]
)
def test_amounts_are_shown_with_their_currency(amount: object, text: str) -> None:
    [row] = effects.rows([effect(amount=amount)], {}, {})
    assert [c.parts[0].value.text for c in row.cells if c.heading == "Amount"] == [text]


@pytest.mark.parametrize("amount", ["much", None, True, "1.005", [1]])
def test_what_is_no_exact_amount_is_shown_as_it_is(amount: object) -> None:
    [row] = effects.rows([effect(amount=amount)], {}, {})
    cells = {c.heading: c.parts[0].value.text for c in row.cells}
    assert cells["Amount"] == values.shown(amount).text
    assert cells["Currency"] == "EUR"


def test_effects_of_one_tool_share_a_table_and_keep_their_order() -> None:
    found = effects.rows([effect(n) for n in range(3)], {}, {})
    [group] = effects.groups(found)
    assert [row.number for row in group.rows] == [1, 2, 3]
    assert [heading.text for heading in group.headings] == ["Recipient", "Amount"]
    assert all(heading.cell for heading in group.headings)
    assert effects.numbers(found) == {"pay": "effects 1–3"}


def test_many_changes_of_tool_become_one_list_in_order() -> None:
    mixed = [{**effect(n), "tool": "pay" if n % 2 else "mail"} for n in range(8)]
    [group] = effects.groups(effects.rows(mixed, {}, {}))
    assert group.wide
    assert [row.number for row in group.rows] == list(range(1, 9))
    assert effects.numbers(group.rows)["mail"] == "effects 1, 3, 5, 7"


def test_long_texts_are_not_squeezed_into_columns() -> None:
    [group] = effects.groups(effects.rows([effect(body="word " * 40)], {}, {}))
    assert group.wide
    assert group.rows[0].cells[-1].heading == "Body"


SCHEMA = {
    "properties": {
        "free": {"type": "object"},
        "day": {"type": "string", "format": "date"},
        "share": {"type": "number", "maximum": 1},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "flag": {"type": "boolean", "default": True},
        "names": {"type": "array", "items": {"type": "string"}, "default": ["x", "y"]},
        "text": {"type": "string", "maxLength": 500},
    },
    "required": ["kind"],
}


def test_a_form_is_made_from_a_schema() -> None:
    page = str(InputsForm(SCHEMA, None))
    assert 'type="date"' in page
    assert '<option value="a">a</option>' in page
    assert "x\ny" in page
    assert page.index("in-kind") < page.index("in-free")


def test_a_form_gives_json_values_and_leaves_out_what_is_empty() -> None:
    form = InputsForm(
        SCHEMA, {"in-kind": "b", "in-share": "0.5", "in-free": '{"a": [1]}', "in-names": ""}
    )
    assert form.is_valid(), form.errors
    assert form.inputs() == {"kind": "b", "share": 0.5, "free": {"a": [1]}, "flag": False}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.084, "84 ms"), (2.14, "2.1 s"), (41, "41 s"), (480, "8 min"), (7200, "2 h"), (3e5, "3 d")],
)
def test_durations_are_told_in_one_unit(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_every_state_has_a_sign_and_a_word() -> None:
    from agents.models import CallState, RunState, StepState
    from policies.models import ApprovalState, Outcome

    for kind, states in (
        ("run", RunState),
        ("step", StepState),
        ("call", CallState),
        ("approval", ApprovalState),
        ("outcome", Outcome),
    ):
        for state in states:
            word = words.word(kind, state)
            assert word is not words.UNKNOWN_WORD, state
            assert word.sign
            assert word.text


def test_long_answers_are_folded_and_very_long_ones_cut_with_a_sign() -> None:
    rows = values.tree([{"a": n, "b": "x"} for n in range(700)])
    assert (len(rows.first), len(rows.folded), rows.left_out) == (20, 480, 200)
    assert [cell.text.text for cell in rows.folded[0]] == ["20", "x"]
    short = values.tree([[1], [2]])
    assert (len(short.first), short.folded, short.left_out) == (2, (), 0)
    page = render_to_string("console/_value_tree.html", {"tree": rows})
    assert "Show 480 more" in page
    assert "200 more are not shown here; the API gives all 700." in page
    assert page.count("<tr>") == 502
    deep: Any = {"a": {"b": {"c": {"d": list(range(2000))}}}}
    assert "Show all" in render_to_string("console/_value_tree.html", {"tree": values.tree(deep)})


def test_a_model_without_a_price_has_no_cost() -> None:
    assert words.spent(0, 812, "USD") == "no cost recorded"
    assert words.spent(0, 0, "USD") == "0 USD"
    assert words.spent(1_230_000, 812, "USD") == "1.23 USD"


def test_a_seat_of_a_group_is_not_told_twice() -> None:
    asked = [{"role": "reviewer", "quorum": 2}, {"role": "reviewer:finance", "quorum": 2}]
    assert policy_words.outcome("review", asked).text == "waits for two finance reviewers"
    assert policy_words.outcome("review", asked[:1]).text == "waits for two reviewers"


def test_what_differs_alike_in_one_step_is_told_once_with_its_number() -> None:
    def change(decision: str, **more: object) -> dict[str, object]:
        alike = {"action": "call:pay", "then": "allow", "now": "review", "run": "r", "step": 1}
        return {"decision": decision, "at": decision, **alike, **more}

    given = [change("a"), change("b", now="deny"), change("c"), change("d", step=2)]
    found = policy_words.alike(given)
    assert [(each["decision"], each["count"]) for each in found] == [("a", 2), ("b", 1), ("d", 1)]


def test_what_is_of_no_step_stands_for_itself() -> None:
    given = [{"decision": name, "action": "change", "then": "review"} for name in "ab"]
    assert [each["count"] for each in policy_words.alike(given)] == [1, 1]
