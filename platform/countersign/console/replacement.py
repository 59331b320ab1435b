"""What a reviewer's edit made of an earlier request, for the card of what took its place. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from agents.approvals.manifest import money
from countersign.console import code, words
from policies import masks


@dataclass(frozen=True)
class Value:
    """One argument, before and now; line by line where it is a longer text."""

    name: str
    before: str
    now: str
    masked: bool
    lines: tuple[code.Row, ...] = ()


@dataclass(frozen=True)
class Effect:
    """One effect that is not as it was asked for before."""

    what: str
    said: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Replacement:
    """Who wrote the program in place of the agent's, why, and what it does otherwise.

    `effects`: None where there is nothing to hold side by side.
    """

    editor: str
    reason: str
    request: str
    effects: tuple[Effect, ...] | None

    @property
    def masked(self) -> bool:
        return any(value.masked for each in self.effects or () for value in each.values)


def build(shown: Mapping[str, Any], hidden: Collection[str]) -> Replacement | None:
    """What a request displays of an edit; None where nobody edited.

    `hidden`: arguments that a rule masks.
    """
    said = shown.get("edited")
    if not said:
        return None
    rows = said.get("effects")
    cents = {
        (effect["tool"], name)
        for effect in shown.get("effects", ())
        for name, role in effect["roles"].items()
        if role == "amount_minor"
    }
    return Replacement(
        editor=said["editor"],
        reason=said["reason"],
        request=said.get("request", ""),
        effects=None if rows is None else tuple(_effect(row, hidden, cents) for row in rows),
    )


def _effect(
    row: Mapping[str, Any], hidden: Collection[str], cents: Collection[tuple[str, str]]
) -> Effect:
    name = words.humanise(row["tool"])
    if not row["effect"]:
        what, said = f"{name}, effect {row['was']} before", "left out"
    elif not row["was"]:
        what, said = f"{name}, effect {row['effect']}", "new"
    else:
        what, said = f"{name}, effect {row['effect']}", "changed"
    values = (
        _value(each, hidden, minor=(row["tool"], each["name"]) in cents) for each in row["values"]
    )
    return Effect(what, said, tuple(values))


def _value(each: Mapping[str, str], hidden: Collection[str], *, minor: bool) -> Value:
    """`minor`: it is an amount in hundredths."""
    name, before, now = each["name"], each["before"], each["now"]
    if name in hidden or masks.MASKED in (before, now):
        return Value(words.humanise(name), "", "", masked=True)
    if minor:
        return Value("Amount", _units(before), _units(now), masked=False)
    long = "\n" in before or "\n" in now
    lines = tuple(code.difference(before, now)) if long and now else ()
    return Value(words.humanise(name), before, now, masked=False, lines=lines)


def _units(value: str) -> str:
    return money(int(value), "") if value.isdecimal() else value
