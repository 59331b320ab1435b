"""What a reviewer holds beside a new request: the last one like it that people let through.

A program is like another of the same agent (whatever its version) with the same shape; a list of
effects is like another of the same agent with the same tools. Found by one indexed digest. What is
told stands among what is displayed, so it is hashed and signed with the rest, as it was when the
request was made. It is information only: the other request's signatures allow nothing of this one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from agents.approvals.manifest import Entry, tokens, totals
from audit import canonical
from audit.canonical import JSON
from policies import selectors
from policies.facts.alike import changed_values, look_alike
from policies.facts.lookalikes import lookalike
from policies.facts.paths import value_at
from policies.models import Answer, ApprovalRequest, Kind


def likeness(agent_id: UUID, kind: Kind, shape: str, effects: Sequence[Entry]) -> str:
    """Digest (SHA-256 hex) that requests like each other share; "" where nothing is compared."""
    about: dict[str, JSON] = {"agent": str(agent_id), "kind": kind.value}
    if kind is Kind.CODE and shape:
        return canonical.digest({**about, "shape": shape})
    if kind is Kind.MANIFEST and effects:
        return canonical.digest({**about, "tools": sorted({entry.tool for entry in effects})})
    return ""


def compared(
    workspace_id: UUID, kind: Kind, alike: str, code: str, effects: Sequence[Entry]
) -> dict[str, Any] | None:
    """What differs from the last one like it; None where there was none.

    Of programs the last that was signed counts, of effects the last that were applied.
    """
    last = selectors.last_alike(workspace_id, alike, used=kind is Kind.MANIFEST) if alike else None
    if last is None:
        return None
    about = _about(last)
    if kind is Kind.CODE:
        before = str(last.displayed.get("code", ""))
        values = changed_values(before, code)
        told = None if values is None else [each.to_json() for each in values]
        return {**about, "code": before, "values": told}
    return {**about, **_effects(last.displayed, effects)}


def _about(last: ApprovalRequest) -> dict[str, JSON]:
    """Which request it was, who signed it and when."""
    approval = last.approval
    signed = sorted(last.votes.all(), key=lambda vote: vote.created)
    return {
        "request": str(last.id),
        "agent": last.agent_name,
        "requester": last.requester_name,
        "signed_by": [vote.user_name for vote in signed if vote.answer == Answer.SIGN],
        "signed_at": approval.completed_at.isoformat(timespec="seconds"),
        "used_at": ""
        if approval.consumed_at is None
        else approval.consumed_at.isoformat(timespec="seconds"),
    }


Told = Mapping[str, Any]
"""What a request displays, or one effect of it."""


def _effects(shown: Told, effects: Sequence[Entry]) -> dict[str, JSON]:
    before, now = shown.get("effects", ()), [entry.to_json() for entry in effects]
    old, new = _recipients(before), _recipients(now)
    fresh = [name for name in new if name not in old]
    return {
        "tools": _tools(before, now),
        "amounts": _amounts(shown.get("totals", {}).get("amounts", {}), totals(effects).amounts),
        "recipients": {
            "before": len(old),
            "now": len(new),
            "new": fresh,
            "alike": _twins(fresh, old),
            "gone": sum(name not in new for name in old),
        },
    }


def _twins(fresh: Sequence[str], old: Iterable[str]) -> list[JSON]:
    """New recipients that a reader could take for one of the last list, each with that one."""
    by_look: dict[str, list[str]] = {}
    for name in old:
        by_look.setdefault(lookalike(name), []).append(name)
    return [
        {"now": name, "before": before}
        for name in fresh
        for before in by_look.get(lookalike(name), ())
        if look_alike(name, before)
    ]


def _tools(before: Sequence[Told], now: Sequence[Told]) -> list[JSON]:
    """Per tool how often, in the order of this request, and whether it is another version."""
    old, new = (Counter(each["tool"] for each in part) for part in (before, now))
    versions = {each["tool"]: each["version"] for each in before}
    changed = {e["tool"] for e in now if versions.get(e["tool"], e["version"]) != e["version"]}
    return [
        {"tool": tool, "before": old[tool], "now": count, "changed": tool in changed}
        for tool, count in new.items()
    ]


def _amounts(before: Mapping[str, int], now: Mapping[str, int]) -> list[JSON]:
    """Per currency the sums in minor units."""
    return [
        {"currency": currency, "before": before.get(currency, 0), "now": now.get(currency, 0)}
        for currency in sorted({*before, *now})
    ]


def _recipients(effects: Sequence[Told]) -> dict[str, None]:
    """Everyone an effect goes to, once; results that do not exist yet name nobody."""
    found: dict[str, None] = {}
    for effect in effects:
        for name, role in effect["roles"].items():
            value = value_at(effect["arguments"], name)
            if role != "recipient" or value is None:
                continue
            each = value if isinstance(value, list) else [value]
            found.update(dict.fromkeys(str(item) for item in each if not tokens(item)))
    return found
