"""How a request differs from the last one like it that people let through, for its card. Pure.

Everything comes from what the request displays, and so is part of what is signed. It always says
that the other is another request: nobody is to take its signatures for signatures of this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agents.approvals.manifest import money
from countersign.console import code, words
from policies import masks
from policies.models import Kind

MOST_NAMES = 50


@dataclass(frozen=True)
class Pair:
    """One thing, the last time and this time; `line` of this program where it is of one."""

    what: str
    before: str
    now: str
    line: int | None = None

    @property
    def differs(self) -> bool:
        return self.before != self.now


@dataclass(frozen=True)
class Comparison:
    """What the card says beside a request.

    Attributes:
        request: id of the other request; "" where there is none.
        says: what differs, in one sentence.
        pairs: values, counts or sums, then and now.
        lines: differences of the programs, line by line.
        names: recipients that the last list had not; not shown where `masked`.
        twins: those of them that look like one of the last list: (that one, this one), in ASCII.
    """

    request: str
    says: str
    signed_by: str = ""
    signed_at: datetime | None = None
    used_at: datetime | None = None
    agent: str = ""
    requester: str = ""
    pairs: tuple[Pair, ...] = ()
    lines: tuple[code.Row, ...] = ()
    names: tuple[str, ...] = ()
    twins: tuple[tuple[str, str], ...] = ()
    unnamed: int = 0
    masked: bool = False

    @property
    def first(self) -> bool:
        return not self.request


NEVER_SIGNED = (
    "Nobody has signed a program of this agent with the same structure of steps and calls, "
    "so there is nothing to compare it with. Read all of it."
)
NEVER_APPLIED = "No list of this agent with the same tools has been applied before."


def build(shown: Mapping[str, Any], *, unmasked: bool = False) -> Comparison | None:
    """The comparison that a request displays; None where it is of a kind that has none.

    `unmasked`: with the recipients that a rule masks.
    """
    if "compared" not in shown:
        return None
    last = shown["compared"]
    programs = shown["kind"] == Kind.CODE
    if not last:
        return Comparison("", NEVER_SIGNED if programs else NEVER_APPLIED)
    about: dict[str, Any] = {
        "request": last["request"],
        "signed_by": words.names(last["signed_by"]) if last["signed_by"] else "nobody",
        "signed_at": datetime.fromisoformat(last["signed_at"]),
        "used_at": datetime.fromisoformat(last["used_at"]) if last["used_at"] else None,
        "agent": last["agent"],
        "requester": last["requester"],
    }
    if programs:
        return _programs(about, last, shown)
    found = _effects(about, last, shown)
    return replace(found, masked=False) if unmasked else found


def _programs(
    about: dict[str, Any], last: Mapping[str, Any], shown: Mapping[str, Any]
) -> Comparison:
    values = last["values"]
    pairs = [Pair("", each["before"], each["now"], each["line"]) for each in values or ()]
    lines = code.difference(last["code"], shown["code"])
    return Comparison(**about, says=_said(values, lines), pairs=tuple(pairs), lines=tuple(lines))


def _said(values: Sequence[Any] | None, lines: Sequence[code.Row]) -> str:
    if not lines:
        return "Word for word the same program. What it reads may be different."
    if values is None:
        return "The programs differ."
    if not values:
        return "The same values. Only names, comments or layout differ."
    verb = "differs" if len(values) == 1 else "differ"
    return f"{words.count(len(values), 'value')} {verb}; otherwise only names, comments or layout."


def _effects(
    about: dict[str, Any], last: Mapping[str, Any], shown: Mapping[str, Any]
) -> Comparison:
    people = last["recipients"]
    pairs = [*_tools(last["tools"]), *_sums(last["amounts"])]
    if people["before"] or people["now"]:
        pairs.append(Pair("Recipients", f"{people['before']:,}", f"{people['now']:,}"))
    hidden = masks.masked(shown.get("rules", ()))
    roles = {
        name
        for effect in shown.get("effects", ())
        for name, role in effect["roles"].items()
        if role == "recipient"
    }
    return Comparison(
        **about,
        says=_new(len(people["new"]), people["gone"]),
        pairs=tuple(pairs),
        names=tuple(people["new"][:MOST_NAMES]),
        twins=tuple((ascii(each["before"]), ascii(each["now"])) for each in people["alike"]),
        unnamed=max(0, len(people["new"]) - MOST_NAMES),
        masked=bool(hidden & roles),
    )


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[Pair]:
    return [
        Pair(
            words.humanise(each["tool"]) + (", another version of it" if each["changed"] else ""),
            words.count(each["before"], "time"),
            words.count(each["now"], "time"),
        )
        for each in tools
    ]


def _sums(amounts: Sequence[Mapping[str, Any]]) -> list[Pair]:
    return [
        Pair(
            "In all", money(each["before"], each["currency"]), money(each["now"], each["currency"])
        )
        for each in amounts
    ]


def _new(new: int, gone: int) -> str:
    parts = [f"{words.count(new, 'recipient')} that the last list had not" if new else ""]
    parts.append(f"{gone:,} of the last list not in this one" if gone else "")
    said = "; ".join(part for part in parts if part)
    return f"{said}." if said else "No recipient that the last list had not."
