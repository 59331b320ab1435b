"""Whether a recipient came from where the analysis says it may have come from.

The analysis tells what had a part in a value: `'drop' + row['at'] + 'evil' + row['dot'] + …` has
letters from a tool and is nobody's address but the program's. Here are the actual values:
- what the task or a tool is said to have given has to stand in what it gave (`heard`), as a whole.
  Where it does not, or where a tool only says again what the run had passed to a tool before, the
  program put it together, and it counts as written by the program;
- what stands in the text of outsiders, and neither in the task, nor in a program of the run, nor
  in what any other tool gave before the run stored it there, came from outsiders, whatever way it
  took;
- an amount in which the task or a tool had a part has to be a number that they gave, or the sum of
  a column of such numbers. Any other was reckoned, and counts as written by the program.

Case, blanks, a name before `<address>` and a leading # or @ make no difference; of several
recipients each has to stand there. Cannot tell, and so takes the analysis at its word: where files
that are no text, or files of a tool, may have held it.
"""

import re
from collections.abc import Collection, Iterator, Sequence, Set
from decimal import Decimal
from typing import TYPE_CHECKING

from agents import heard
from agents.approvals import manifest
from audit.canonical import JSON
from policies.facts.record import ADDRESS, TASK, TASK_LITERAL, TOOL, Origin, join_origins

if TYPE_CHECKING:
    from agents.session import Session

UNTRUSTED = "untrusted"
_PARTED = re.compile(r"[,;]")
_BRACKETED = re.compile(r"[^<>@\r\n]*<([^<>]*)>\s*\Z")
"""A name that holds an address itself, or a line break, is no name: some mailers write to it."""


def held_to(
    origin: Origin,
    value: JSON,
    session: "Session",
    open_results: Collection[str] = (),
    *,
    searched: bool = False,
) -> Origin:
    """The origin of an actual recipient, joined with whoever else turns out to have given it.

    Args:
        open_results: tokens of effects that have not happened; what is made of their results is
            looked at when they have.
        searched: the analysis does not know this part by itself, so one that stands in the task
            counts as the task's.
    """
    if not manifest.tokens(value).isdisjoint(open_results):
        return origin
    names = list(_named(value))
    if searched and names and all(map(heard.of_task(session).holds, names)):
        return Origin(frozenset({TASK_LITERAL}), origin.labels, origin.control)
    for more in (_written(origin, names, session), _outsiders(origin, names, session)):
        origin = origin.joined(more)
    return origin


def reckoned(
    origin: Origin,
    value: JSON,
    session: "Session",
    open_results: Collection[str] = (),
    *,
    minor: bool,
) -> Origin:
    """The origin of an actual amount, joined with the program where it was reckoned.

    Args:
        minor: it is in hundredths; numbers with a fraction were given in units.
    """
    tools, task = _givers(origin)
    if not (tools or task) or not manifest.tokens(value).isdisjoint(open_results):
        return origin
    if not heard.is_readable(session, tools, task=task):
        return origin
    for amount in value if isinstance(value, list) else [value]:
        exact = heard.number(amount)
        if exact and not _is_number_given(exact, session, tools, minor=minor):
            return origin.joined(Origin(frozenset({ADDRESS})))
    return origin


def _is_number_given(exact: str, session: "Session", tools: Set[str], *, minor: bool) -> bool:
    """Whether an amount was given, in the unit in which it is passed or in the other.

    A task speaks of units; a tool of units where it writes a fraction, else of either.
    """
    units = heard.number(Decimal(exact) / 100) if minor else exact
    cents = exact if minor else heard.number(Decimal(exact) * 100)
    told = heard.of_task(session).numbers

    def holds(given: heard.Heard) -> bool:
        return cents in given.numbers or units in (given.fractions if minor else given.numbers)

    return exact in told or units in told or heard.is_given(session, tools, holds)


def _givers(origin: Origin) -> tuple[set[str], bool]:
    """The tools, and whether also the task, that had a part in a value."""
    tools = {source.removeprefix(TOOL) for source in origin.sources if source.startswith(TOOL)}
    return tools, not origin.sources.isdisjoint((TASK, TASK_LITERAL))


def _written(origin: Origin, names: Sequence[str], session: "Session") -> Origin:
    """The program itself, where not all of these were given by whoever is said to have."""
    tools, task = _givers(origin)
    if not (tools or task) or not heard.is_readable(session, tools, task=task):
        return Origin()
    if all(_is_given(name, session, tools, task=task) for name in names):
        return Origin()
    return Origin(frozenset({ADDRESS}))


def _is_given(name: str, session: "Session", tools: Set[str], *, task: bool) -> bool:
    if task and heard.of_task(session).holds(name):
        return True
    if heard.is_given(session, tools, lambda given: given.holds(name)):
        return True
    # What the task named first is no less the tool's for having been passed to it.
    said = (call for call in heard.calls(session) if call.tool_version.tool.name in tools)
    return heard.of_task(session).holds(name) and any(
        heard.of_call(session, call).holds(name) for call in said
    )


def _outsiders(origin: Origin, names: Sequence[str], session: "Session") -> Origin:
    """The tools whose text of outsiders alone holds one of these."""
    theirs = {name for name, tool in session.tools.items() if UNTRUSTED in tool.spec.labels}
    others = session.tools.keys() - theirs
    if UNTRUSTED in origin.labels or not theirs:
        return Origin()
    if not heard.is_readable(session, others, task=True):
        return Origin()
    alone = [name for name in names if not _is_of_others(name, session, others)]
    if not alone:
        return Origin()
    return join_origins(
        Origin(frozenset({f"{TOOL}{call.tool_version.tool.name}"}), frozenset(spec.labels))
        for call in heard.calls(session)
        for spec in (session.tools[call.tool_version.tool.name].spec,)
        if UNTRUSTED in spec.labels
        and any(heard.of_call(session, call).holds(name) for name in alone)
    )


def _is_of_others(name: str, session: "Session", others: Set[str]) -> bool:
    return (
        heard.of_task(session).holds(name)
        or any(name in heard.plain(step.code) for step in session.steps)
        or heard.is_given(session, others, lambda given: given.holds(name), echoes=True)
    )


def _named(value: JSON) -> Iterator[str]:
    """Each recipient in a value, in the form in which it is looked for."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        yield from _named(list(value.values()))
    elif isinstance(value, str):
        for part in _PARTED.split(value):
            bracketed = _BRACKETED.fullmatch(part)
            name = heard.plain(bracketed[1] if bracketed else part).lstrip("#@")
            if name:
                yield name
    elif isinstance(value, int | float):
        yield str(value)
