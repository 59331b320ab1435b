"""What rules mask (`@mask("account")`), and what is shown in its place. Pure.

Guarantees: no value of a masked argument stands in the effects, totals, comparison and edit of
what `covered` gives. Does not guarantee: that programs, thoughts and outputs do not repeat it; they
are shown as they are, here and in the console.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

MASKED = "(masked)"
_RECIPIENT = "recipient"


def masked(rules: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Arguments that these rules hide until whoever reads asks for them."""
    named = [str(each) for rule in rules for each in rule.get("obligations", ())]
    return frozenset(each.removeprefix("mask:") for each in named if each.startswith("mask:"))


def of_request(shown: Mapping[str, Any]) -> frozenset[str]:
    """What the rules of a request mask of the effects that it displays."""
    named = {name for effect in shown.get("effects", ()) for name in effect.get("arguments", ())}
    rows = shown.get("edited", {}).get("effects", ())
    named |= {each["name"] for row in rows for each in row["values"]}
    return masked(shown.get("rules", ())) & named


def arguments(given: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """A call's arguments, those that are hidden without their value."""
    return {name: MASKED if name in hidden else value for name, value in given.items()}


def covered(shown: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """What a request displays, without the values of these arguments of its effects."""
    if not hidden:
        return dict(shown)
    effects = [
        {**effect, "arguments": arguments(effect.get("arguments", {}), hidden)}
        for effect in shown.get("effects", ())
    ]
    found = {**shown, "effects": effects} if effects else dict(shown)
    if "edited" in found:
        found["edited"] = _edited(found["edited"], hidden)
    paid = {
        name
        for each in effects
        for name, role in each.get("roles", {}).items()
        if role == _RECIPIENT
    }
    if paid.isdisjoint(hidden):
        return found
    if "totals" in found:
        found["totals"] = _without_names(found["totals"], "recipients")
    if found.get("compared"):
        people = _without_names(found["compared"]["recipients"], "new", "alike")
        found["compared"] = {**found["compared"], "recipients": people}
    return found


def _edited(said: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """What an edit changed, without the values of these arguments."""
    rows = [
        {
            **row,
            "values": [
                {**each, "before": MASKED, "now": MASKED} if each["name"] in hidden else each
                for each in row["values"]
            ],
        }
        for row in said.get("effects", ())
    ]
    return {**said, "effects": rows} if "effects" in said else dict(said)


def _without_names(part: Mapping[str, Any], *lists: str) -> dict[str, Any]:
    """As many as there are, and no name."""
    return {**part, **{name: [MASKED] * len(part.get(name, ())) for name in lists}}
