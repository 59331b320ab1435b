"""What the card says of a program that a reviewer wrote in place of the agent's."""

from typing import Any

from countersign.console import replacement
from policies import masks

PAID = {"name": "amount_cents", "before": "1000", "now": "700"}
BODY = {"name": "body", "before": "Paid:\n10.00", "now": "Paid:\n7.00"}


def shown(*values: dict[str, str], was: int = 1, effect: int = 1) -> dict[str, Any]:
    row = {"was": was, "effect": effect, "tool": "create_payment", "values": list(values)}
    edited = {"editor": "Bob", "reason": "Not due", "request": "r", "effects": [row]}
    return {"edited": edited}


def test_a_request_that_nobody_edited_says_nothing() -> None:
    assert replacement.build({"effects": []}, ()) is None


def test_a_changed_value_stands_beside_the_one_before() -> None:
    found = replacement.build(shown(PAID), ())
    assert found is not None
    assert (found.editor, found.reason, found.request) == ("Bob", "Not due", "r")
    [effect] = found.effects or ()
    assert (effect.what, effect.said) == ("Create payment, effect 1", "changed")
    assert [(v.name, v.before, v.now) for v in effect.values] == [("Amount cents", "1000", "700")]


def test_an_amount_in_hundredths_is_told_in_units() -> None:
    roles = {"amount_cents": "amount_minor"}
    effects = [{"tool": "create_payment", "arguments": {}, "roles": roles}]
    found = replacement.build({**shown(PAID), "effects": effects}, ())
    assert found is not None
    [effect] = found.effects or ()
    assert [(v.name, v.before, v.now) for v in effect.values] == [("Amount", "10.00", "7.00")]


def test_one_left_out_is_called_by_its_number_before() -> None:
    found = replacement.build(shown({**PAID, "now": ""}, was=3, effect=0), ())
    assert found is not None
    [effect] = found.effects or ()
    assert (effect.what, effect.said) == ("Create payment, effect 3 before", "left out")


def test_a_longer_text_is_shown_line_by_line() -> None:
    found = replacement.build(shown(BODY), ())
    assert found is not None
    [effect] = found.effects or ()
    assert [row.kind for row in effect.values[0].lines if row.kind] == ["cut", "add"]


def test_masked_values_are_not_shown_now_or_of_before() -> None:
    covered = {"name": "body", "before": masks.MASKED, "now": masks.MASKED}
    for given, hidden in ((PAID, {"amount_cents"}), (covered, set())):
        found = replacement.build(shown(given), hidden)
        assert found is not None
        assert found.masked
        [effect] = found.effects or ()
        assert (effect.values[0].before, effect.values[0].now) == ("", "")
