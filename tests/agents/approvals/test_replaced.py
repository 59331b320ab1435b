"""What an edit changed, effect by effect."""

from typing import Any

from agents.approvals.replaced import differences
from policies import masks

TOKEN, OTHER = "tokenAAAAAAAA", "tokenBBBBBBBB"


def pay(account: str, cents: int, token: str = "") -> dict[str, Any]:
    arguments = {"account": account, "amount_cents": cents}
    return {"tool": "pay", "arguments": arguments, "token": token or f"token-{account}-{cents}"}


def mail(text: Any) -> dict[str, Any]:
    return {"tool": "send_mail", "arguments": {"body": text}, "token": "tokenMAILMAIL"}


def rows(found: list[Any]) -> list[tuple[int, int, str, list[str]]]:
    return [(r["was"], r["effect"], r["tool"], [v["name"] for v in r["values"]]) for r in found]


def test_the_same_effects_differ_in_nothing_whatever_their_tokens() -> None:
    before = [pay("A", 1, TOKEN), mail(f"paid ⟦{TOKEN}/id⟧")]
    now = [pay("A", 1, OTHER), mail(f"paid ⟦{OTHER}/id⟧")]
    assert differences(before, now) == []


def test_a_reference_to_another_effect_is_a_difference() -> None:
    first, second = pay("A", 1, TOKEN), pay("B", 1, OTHER)
    refers = {"$placeholder": TOKEN, "path": ["id"]}
    before = [first, second, mail(refers)]
    now = [first, second, mail({**refers, "$placeholder": OTHER})]
    [row] = differences(before, now)
    assert row["values"] == [
        {
            "name": "body",
            "before": "⟦result of effect 1 · id⟧",
            "now": "⟦result of effect 2 · id⟧",
        }
    ]


def test_one_left_out_is_told_with_all_that_it_would_have_done() -> None:
    found = differences([pay("A", 1), pay("B", 2), pay("C", 3)], [pay("A", 1), pay("C", 3)])
    assert rows(found) == [(2, 0, "pay", ["account", "amount_cents"])]
    assert found[0]["values"][0] == {"name": "account", "before": "B", "now": ""}


def test_a_new_one_stands_in_the_list_itself() -> None:
    assert rows(differences([pay("A", 1)], [pay("A", 1), mail("x")])) == [(0, 2, "send_mail", [])]


def test_another_order_is_a_difference() -> None:
    assert differences([pay("A", 1), mail("x")], [mail("x"), pay("A", 1)]) != []


def test_what_a_rule_masked_before_stays_masked() -> None:
    [row] = differences([pay("A", 1)], [pay("B", 1)], hidden={"account"})
    assert row["values"] == [{"name": "account", "before": masks.MASKED, "now": masks.MASKED}]


def test_a_token_may_see_an_edit_without_what_a_rule_masks_now() -> None:
    effects = [{**pay("B", 1), "roles": {"account": "recipient"}}]
    shown = {
        "effects": effects,
        "rules": [{"obligations": ["mask:account"]}],
        "edited": {"editor": "Bob", "effects": differences([pay("A", 1)], [pay("B", 1)])},
    }
    hidden = masks.of_request(shown)
    assert hidden == {"account"}
    [row] = masks.covered(shown, hidden)["edited"]["effects"]
    assert row["values"] == [{"name": "account", "before": masks.MASKED, "now": masks.MASKED}]


def test_a_masked_argument_of_one_left_out_counts_as_masked() -> None:
    shown = {
        "effects": [mail("x")],
        "rules": [{"obligations": ["mask:account"]}],
        "edited": {"effects": differences([pay("A", 1), mail("x")], [mail("x")])},
    }
    assert masks.of_request(shown) == {"account"}
