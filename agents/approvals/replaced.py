"""What a reviewer's edit makes of the request whose place it takes, for the next reviewer.

Guarantees: a request for an edited program names the person who wrote it, their reason and the
request before it, and lists every effect that is not as it was asked for then. All of it stands
among what is displayed, so it is hashed and signed with the rest.
"""

import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from agents.approvals.manifest import REFERENCE, Entry, referred
from agents.models import Step
from audit.canonical import JSON
from policies import masks

Told = Mapping[str, Any]
"""An effect as a request displays it."""


def before(steps: Sequence[Step], number: int) -> Step | None:
    """The step in whose place a reviewer wrote this one, if one did."""
    return next((step for step in steps if step.number == number - 1 and step.edit), None)


def told(edited: Step | None, effects: Sequence[Entry]) -> dict[str, JSON]:
    """What a request for an edited program displays of the edit; nothing for any other."""
    if edited is None or edited.edit is None:
        return {}
    said: dict[str, JSON] = {
        "editor": edited.edit["editor_name"],
        "reason": edited.edit["reason"],
    }
    old = edited.approval_request
    if old is not None:
        said["request"] = str(old.id)
        if effects and old.displayed.get("effects"):
            now = [entry.to_json() for entry in effects]
            hidden = masks.of_request(old.displayed)
            said["effects"] = differences(old.displayed["effects"], now, hidden)
    return {"edited": said}


def differences(
    before: Sequence[Told], now: Sequence[Told], hidden: Collection[str] = ()
) -> list[JSON]:
    """Effects that are not as before, in their order.

    Each is ``{was, effect, tool, values: [{name, before, now}]}``: `was` and `effect` are numbers
    from 1, before and now; 0 where it is new or left out. Of a new one no values are given, of one
    that is left out all of them. `hidden`: arguments that a rule masked before; that they differ is
    said, and not how.
    """
    old, new = _plain(before), _plain(now)
    blocks = SequenceMatcher(None, list(map(_key, old)), list(map(_key, new)), autojunk=False)
    found: list[dict[str, Any]] = []
    for kind, start, end, first, last in blocks.get_opcodes():
        if kind != "equal":
            found += _paired(
                list(enumerate(old, 1))[start:end], list(enumerate(new, 1))[first:last]
            )
    return [
        {**row, "values": [{**v, **_COVER} if v["name"] in hidden else v for v in row["values"]]}
        for row in found
    ]


_Plain = tuple[str, dict[str, str]]
_COVER = {"before": masks.MASKED, "now": masks.MASKED}


def _paired(
    old: Sequence[tuple[int, _Plain]], new: Sequence[tuple[int, _Plain]]
) -> Iterator[dict[str, Any]]:
    """Effects of a stretch that differs: the same tool's stand for each other, in their order."""
    waiting: dict[str, deque[tuple[int, dict[str, str]]]] = {}
    for number, (tool, values) in old:
        waiting.setdefault(tool, deque()).append((number, values))
    for number, (tool, values) in new:
        if waiting.get(tool):
            was, earlier = waiting[tool].popleft()
            yield _row(was, number, tool, earlier, values)
        else:
            yield _row(0, number, tool, {}, {})
    for tool, left in waiting.items():
        for was, earlier in left:
            yield _row(was, 0, tool, earlier, {})


def _row(
    was: int, effect: int, tool: str, old: Mapping[str, str], new: Mapping[str, str]
) -> dict[str, Any]:
    values = [
        {"name": name, "before": old.get(name, ""), "now": new.get(name, "")}
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    return {"was": was, "effect": effect, "tool": tool, "values": values}


def _key(effect: _Plain) -> tuple[str, ...]:
    tool, values = effect
    return (tool, *(part for name in sorted(values) for part in (name, values[name])))


def _plain(effects: Sequence[Told]) -> list[_Plain]:
    """Tool and arguments as texts; a result is called by its effect's number, not by its token."""
    names = {
        str(effect["token"]): f"result of effect {number}"
        for number, effect in enumerate(effects, 1)
    }
    return [
        (effect["tool"], {name: _text(value, names) for name, value in effect["arguments"].items()})
        for effect in effects
    ]


def _text(value: JSON, names: Mapping[str, str]) -> str:
    shown = _named(value, names)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _named(value: JSON, names: Mapping[str, str]) -> JSON:
    if isinstance(value, dict):
        token = referred(value)
        if token in names:
            return f"⟦{names[token]}{_path(value.get('path', ()))}⟧"
        return {key: _named(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [_named(part, names) for part in value]
    if isinstance(value, str):
        return REFERENCE.sub(
            lambda match: f"⟦{names.get(match[1], match[1])}{match[2].replace('/', ' · ')}⟧", value
        )
    return value


def _path(parts: Sequence[JSON]) -> str:
    return "".join(f" · {part}" for part in parts)
