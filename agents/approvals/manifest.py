"""The manifest of a step: its deferred effects, in order, as people sign them. Pure.

A planned call's arguments may refer to results that do not exist yet. Such a reference is
`{"$placeholder": token, "path": [...]}` where it stands for a whole value, and `⟦token⟧` or
`⟦token/key/0⟧` (an RFC 6901 pointer) where it stands in text. `fill` puts the real results in;
the filled arguments must then equal what the program passes when it is applied.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from audit import canonical
from audit.canonical import JSON, MAX_INTEGER
from policies.facts.paths import value_at

_AMOUNTS = ("amount_minor", "amount")
_VERBS = frozenset(
    {
        "add", "approve", "archive", "assign", "book", "cancel", "change", "close", "create",
        "delete", "file", "issue", "make", "open", "order", "post", "publish", "refund", "register",
        "reject", "release", "remove", "rename", "reserve", "reverse", "schedule", "send", "set",
        "share", "sign", "start", "stop", "submit", "transfer", "update", "upload", "withdraw",
        "write",
    }
)  # fmt: skip
"""Words that begin a tool's name and are followed by what is made or changed."""
GIVEN_FILES = "files of the task"
"""What cards call them, where they list what a run has read."""
REFERENCE = re.compile(r"⟦([A-Za-z0-9_-]{8,64})((?:/[^⟧/]*)*)⟧")


class Unfillable(KeyError):
    """A reference names a result that is not there, or a part that the result does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Entry:
    """One concrete effect of a manifest.

    Attributes:
        position: 0-based place in the manifest; order is part of what is signed.
        seq: 0-based place among the step's tool calls.
        tool: canonical name.
        version: content hash of the tool version.
        arguments: the template, see the module.
        origins: argument → where its value came from, in words of the facts.
        roles: argument → role (`recipient`, `amount`, …).
        token: how later entries refer to this one's result.
    """

    position: int
    seq: int
    tool: str
    version: str
    arguments: Mapping[str, Any]
    origins: Mapping[str, Sequence[str]]
    roles: Mapping[str, str]
    tier: int
    token: str

    def to_json(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "seq": self.seq,
            "tool": self.tool,
            "version": self.version,
            "arguments": dict(self.arguments),
            "origins": {name: list(sources) for name, sources in self.origins.items()},
            "roles": dict(self.roles),
            "tier": self.tier,
            "token": self.token,
        }


@dataclass(frozen=True)
class Totals:
    """What a manifest adds up to, per argument role.

    Attributes:
        effects: number of entries.
        amounts: currency (or "" where none is named) → sum in minor units.
        recipients: distinct recipients, each of a list of them.
        uncounted: amounts that are in no sum, because they are not exact, not known yet, beyond
            what can be stored, or in something that is no currency.
    """

    effects: int
    amounts: Mapping[str, int] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()
    uncounted: int = 0


def digest(entries: Sequence[Entry]) -> str:
    """SHA-256 (hex) over the canonical JSON of the ordered list."""
    return canonical.digest([entry.to_json() for entry in entries])


def totals(entries: Sequence[Entry]) -> Totals:
    """Add up amounts by currency and count recipients, by the roles the tools declare.

    Role `amount` is in units of the currency, `amount_minor` in hundredths of it.
    """
    amounts: dict[str, int] = {}
    recipients: dict[str, None] = {}
    uncounted = 0
    for entry in entries:
        by_role = {role: value_at(entry.arguments, name) for name, role in entry.roles.items()}
        minor, currency = minor_units(by_role), by_role.get("currency") or ""
        known = minor is not None and (currency == "" or is_currency(currency))
        # A negative amount must not hide a positive one.
        total = amounts.get(currency, 0) + abs(minor or 0) if known else MAX_INTEGER + 1
        if total <= MAX_INTEGER:
            amounts[currency] = total
        elif any(by_role.get(role) is not None for role in _AMOUNTS):
            uncounted += 1
        for name, role in entry.roles.items():
            if role == "recipient":
                recipients.update(dict.fromkeys(_each(value_at(entry.arguments, name))))
    return Totals(len(entries), amounts, tuple(recipients), uncounted)


def _each(value: JSON) -> list[str]:
    """The recipients that one argument names."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def is_currency(value: JSON) -> bool:
    """Whether a value is three letters or a currency sign.

    Sums name their currency in sentences of ours, also in mail; nobody's words may stand there.
    """
    if not isinstance(value, str):
        return False
    letters = len(value) == 3 and value.isascii() and value.isalpha()
    return letters or (len(value) == 1 and unicodedata.category(value) == "Sc")


def money(minor: int, currency: str) -> str:
    """Minor units for people: ``4831020, "EUR"`` → ``48,310.20 EUR``."""
    return f"{minor // 100:,}.{minor % 100:02d} {currency}".rstrip()


def sentence(agent: str, requester: str, entries: Sequence[Entry]) -> str:
    """The one sentence a reviewer reads first, made from the effects and nothing the model said."""
    acts = [_act(tool, same) for tool, same in _by_tool(entries).items()]
    return f"{agent} wants to {_join(acts)}, for {requester}."


def headline(entries: Sequence[Entry]) -> str:
    """Verb and object for a queue row, with counts and amounts."""
    acts = ", ".join(
        _verb(tool).capitalize() + (f" ×{len(same)}" if len(same) > 1 else "")  # noqa: RUF001
        for tool, same in _by_tool(entries).items()
    )
    summed = totals(entries)
    amounts = [money(minor, currency) for currency, minor in summed.amounts.items()]
    return " · ".join([acts, *amounts, *([_uncounted(summed)] if summed.uncounted else [])])


def fill(template: JSON, results: Mapping[str, JSON]) -> JSON:
    """Put real results where the template refers to them.

    Raises:
        Unfillable: a reference names a result that is not there, or a path it does not have.
    """
    if isinstance(template, dict):
        token = referred(template)
        if token:
            if token not in results:
                raise Unfillable("a placeholder names a result that is not there")
            return _follow(results[token], template["path"])
        return {key: fill(value, results) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, results) for value in template]
    if isinstance(template, str):
        return REFERENCE.sub(lambda match: _in_text(match, results), template)
    return template


def tokens(template: JSON) -> set[str]:
    """The tokens of every result the template refers to."""
    if isinstance(template, dict):
        token = referred(template)
        if token:
            return {token}
        return set().union(*(tokens(value) for value in template.values()))
    if isinstance(template, list):
        return set().union(*(tokens(value) for value in template))
    if isinstance(template, str):
        return {match[1] for match in REFERENCE.finditer(template)}
    return set()


def referred(template: Mapping[str, JSON]) -> str:
    """The token an object refers to, or "" where it is no placeholder but a program's own data."""
    if set(template) != {"$placeholder", "path"}:
        return ""
    token, path = template["$placeholder"], template["path"]
    well_formed = isinstance(path, list) and all(isinstance(part, str | int) for part in path)
    return token if isinstance(token, str) and well_formed else ""


def _in_text(match: re.Match[str], results: Mapping[str, JSON]) -> str:
    if match[1] not in results:
        return match[0]
    path = [part.replace("~1", "/").replace("~0", "~") for part in match[2].split("/")[1:]]
    return str(_follow(results[match[1]], path))


def _follow(value: JSON, path: Sequence[str | int]) -> JSON:
    try:
        for part in path:
            value = value[int(part)] if isinstance(value, list) else value[str(part)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unfillable("a placeholder names a part that the result does not have") from error
    return value


def minor_units(by_role: Mapping[str, JSON]) -> int | None:
    """The amount of a call in hundredths, where a role names one, exact and of storable size."""
    if type(by_role.get("amount_minor")) is int:
        minor = int(by_role["amount_minor"])
        return minor if abs(minor) <= MAX_INTEGER else None
    amount = by_role.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        return None
    try:
        hundredths = Decimal(str(amount)) * 100
        # Compared before it is written out: "1e999999" has a million digits.
        small = abs(hundredths) <= MAX_INTEGER
        return int(hundredths) if small and hundredths == int(hundredths) else None
    except (ArithmeticError, ValueError):
        return None


def _verb(tool: str) -> str:
    return tool.rsplit(".", 1)[-1].replace("_", " ")


def _by_tool(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.tool, []).append(entry)
    return found


def _act(tool: str, entries: Sequence[Entry]) -> str:
    """One kind of effect: ``create 12 payments (48,310.20 EUR, to 11 recipients)``."""
    summed = totals(entries)
    amounts = [money(minor, currency) for currency, minor in summed.amounts.items()]
    if summed.uncounted:
        amounts.append(_uncounted(summed))
    people = len(summed.recipients)
    to = f"to {people} recipient{'s' if people > 1 else ''}" if people else ""
    about = ", ".join(part for part in (" and ".join(amounts), to) if part)
    return _counted(_verb(tool), len(entries)) + (f" ({about})" if about else "")


def _uncounted(summed: Totals) -> str:
    """What a sum leaves out is said beside it, never dropped."""
    plural = "s" if summed.uncounted > 1 else ""
    return f"{summed.uncounted} amount{plural} that cannot be added up"


def _counted(act: str, count: int) -> str:
    """``create payment`` 12 → ``create 12 payments``; ``pay`` 12 → ``pay 12 times``."""
    verb, _, thing = act.partition(" ")
    if verb in _VERBS and thing:
        return (
            f"{verb} {_article(thing)} {thing}" if count == 1 else f"{verb} {count} {_many(thing)}"
        )
    times = "once" if count == 1 else "twice" if count == 2 else f"{count} times"
    return f"{act} {times}"


def _article(thing: str) -> str:
    return "an" if thing[0] in "aeiou" else "a"


def _many(thing: str) -> str:
    if thing.endswith(("s", "x", "ch", "sh")):
        return f"{thing}es"
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return f"{thing}s"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
