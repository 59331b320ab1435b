"""Whether a recipient came from where the analysis says it may have come from.

The analysis tells what had a part in a value: `'drop' + row['at'] + 'evil' + row['dot'] + …` has
letters from a tool and is nobody's address but the program's. Here are the actual values:
- what the task or a tool is said to have given has to stand in what it gave. Where it does not,
  the program put it together, and it counts as written by the program;
- what stands in the text of outsiders, and neither in the task, nor in a program of the run, nor in
  what any other tool gave, came from outsiders, whatever way it took.

Case, blanks, a name before `<address>` and a leading # or @ make no difference; of several
recipients each has to stand there. Cannot tell, and so takes the analysis at its word: where files
that are no text, or files of a tool, may have held it. A tool that echoes what it is told has
given it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING

from agents.approvals import manifest
from agents.models import Call, CallState
from audit.canonical import JSON
from policies.facts.record import ADDRESS, TASK, TASK_LITERAL, TOOL, Origin, join_origins

if TYPE_CHECKING:
    from agents.session import Session

UNTRUSTED = "untrusted"
_PARTED = re.compile(r"[,;]")
_BRACKETED = re.compile(r"<([^<>]*)>\s*\Z")
_BETWEEN = "\0"
"""Stands between texts and in none, so that no recipient is found across two."""


def held_to(
    origin: Origin, value: JSON, session: "Session", open_results: Collection[str] = ()
) -> Origin:
    """The origin of an actual recipient, joined with whoever else turns out to have given it.

    Args:
        open_results: tokens of effects that have not happened; what is made of their results is
            looked at when they have.
    """
    if not manifest.tokens(value).isdisjoint(open_results):
        return origin
    names = list(_named(value))
    for more in (_written(origin, names, session), _outsiders(origin, names, session)):
        origin = origin.joined(more)
    return origin


def _written(origin: Origin, names: Sequence[str], session: "Session") -> Origin:
    """The program itself, where not all of these were given by whoever is said to have."""
    tools = {source.removeprefix(TOOL) for source in origin.sources if source.startswith(TOOL)}
    task = not origin.sources.isdisjoint((TASK, TASK_LITERAL))
    given = _given(session, tools, task=task) if tools or task else None
    if given is None or all(_stands_in(name, given) for name in names):
        return Origin()
    return Origin(frozenset({ADDRESS}))


def _outsiders(origin: Origin, names: Sequence[str], session: "Session") -> Origin:
    """The tools whose text of outsiders alone holds one of these."""
    theirs = {name for name, tool in session.tools.items() if UNTRUSTED in tool.spec.labels}
    if UNTRUSTED in origin.labels or not theirs:
        return Origin()
    others = _given(session, session.tools.keys() - theirs, task=True)
    if others is None:
        return Origin()
    others += [_plain(step.code) for step in session.steps]
    alone = [name for name in names if name and not _stands_in(name, others)]
    return join_origins(
        Origin(frozenset({f"{TOOL}{tool}"}), frozenset(session.tools[tool].spec.labels))
        for tool in sorted(theirs)
        if any(_stands_in(name, _given(session, {tool}, task=False) or ()) for name in alone)
    )


def _stands_in(name: str, texts: Iterable[str]) -> bool:
    return any(name in text for text in texts)


def _named(value: JSON) -> Iterator[str]:
    """Each recipient in a value, in the form in which it is looked for."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, str):
        for part in _PARTED.split(value):
            bracketed = _BRACKETED.search(part)
            yield _plain(bracketed[1] if bracketed else part).lstrip("#@")
    elif isinstance(value, int | float):
        yield str(value)


def _given(session: "Session", tools: Set[str], *, task: bool) -> list[str] | None:
    """What the run got from the task and these tools so far; None where it cannot all be read."""
    calls = [
        call
        for step in session.calls.values()
        for call in step.values()
        if call.tool_version.tool.name in tools and call.state in _OVER
    ]
    unread = task and any(b"\0" in file.content for file in session.given)
    if unread or any(call.files for call in calls):
        return None
    found = [_heard(session, call) for call in calls]
    if task:
        files = [file.content.decode("utf-8", "replace") for file in session.given]
        found.append(_flat([session.run.goal, session.run.inputs, *files]))
    return found


_OVER = (CallState.SUCCEEDED, CallState.FAILED)


def _heard(session: "Session", call: Call) -> str:
    text = session.heard.get(call.id)
    if text is None:
        text = session.heard[call.id] = _flat([call.result, call.error])
    return text


def _flat(value: JSON) -> str:
    """All texts and numbers in a value, keys among them."""
    texts: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str | int | float):
            texts.append(_plain(str(item)))
    return _BETWEEN.join(texts)


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
