"""Which variables of a run may be, or hold, the same object, from one step to the next.

Origins alone do not tell: after `row = rows[0]` a later step that changes `row` changes what
`rows` holds. Notes among the variables say so, under keys like no name:

- SHARED: groups of variables, the names of each group parted by blanks. What a step stores into
  one of a group may be in all of them. The walk of one program is finer than that.
- MODULES: names that are modules or members of one, each with its path and its member.
- CAPTURED: pairs of a variable that holds a function and a name that this function reads. What
  a later step binds to the name is what the function sees.
- ROUGH: what lay outside the plain language in the steps so far (plain.py): what they left may be
  a generator, or an object whose methods an operator runs.
- WRITTEN: pairs of a variable that holds a function and a name that this function binds.
- READS: names that an earlier step relied on: functions whose callers write all they pass, and
  variables that functions read as written text. Used otherwise, they are not what was looked at.
- PATHS: variables that hold path objects.
- LIVE: variables whose value may run code of the program by being used in any way, or is used up
  by it: instances, generators, iterators, containers of functions. What happens then is not
  followed from one step to the next: it may call what it can call with all there is.
"""

from collections.abc import Iterable, Mapping

from policies.facts.flow import PART, Graph
from policies.facts.record import Origin

_MANY = 40
SHARED = "<shared>"
CAPTURED = "<captured>"
MODULES = "<modules>"
ROUGH = "<rough>"
WRITTEN = "<written>"
LIVE = "<live>"
READS = "<reads>"
PATHS = "<paths>"


def groups_in(known: Mapping[str, Origin]) -> list[list[str]]:
    return _notes(known, SHARED)


def modules_in(known: Mapping[str, Origin]) -> list[tuple[str, str, str]]:
    return [(name, path, "".join(member)) for name, path, *member in _notes(known, MODULES)]


def rough_in(known: Mapping[str, Origin]) -> list[tuple[str, str]]:
    return [(kind, " ".join(name)) for kind, *name in _notes(known, ROUGH)]


def captures_in(known: Mapping[str, Origin]) -> dict[str, set[str]]:
    """Names of captured variables by the variable that holds the function."""
    return _by_holder(known, CAPTURED)


def written_in(known: Mapping[str, Origin]) -> dict[str, set[str]]:
    """Names that a call of what a variable holds may bind, by the variable."""
    return _by_holder(known, WRITTEN)


def live_in(known: Mapping[str, Origin]) -> frozenset[str]:
    return known[LIVE].sources if LIVE in known else frozenset()


def reads_in(known: Mapping[str, Origin]) -> frozenset[str]:
    return known[READS].sources if READS in known else frozenset()


def paths_in(known: Mapping[str, Origin]) -> frozenset[str]:
    return known[PATHS].sources if PATHS in known else frozenset()


def _by_holder(known: Mapping[str, Origin], key: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for holder, name in _notes(known, key):
        found.setdefault(holder, set()).add(name)
    return found


def _notes(known: Mapping[str, Origin], key: str) -> list[list[str]]:
    return [note.split() for note in sorted(known[key].sources)] if key in known else []


def note_of(notes: Iterable[Iterable[str]]) -> Origin:
    return Origin(frozenset(" ".join(names) for names in notes))


def groups(graph: Graph, holders: Mapping[str, Iterable[int]]) -> list[list[str]]:
    """Names that lead to one object over back edges: they are it, hold it or were taken from it.

    A group that lies within another is left out; past `_MANY` groups all names are one.
    """
    taken: dict[int, list[int]] = {}
    for part, edges in graph.back.items():
        for edge in edges:
            if edge & 3 == PART:
                taken.setdefault(edge >> 2, []).append(part)
    first: dict[int, str] = {}
    names_of: dict[int, set[str]] = {}
    for name, nodes in holders.items():
        for node in _reached(graph, taken, nodes):
            other = first.setdefault(node, name)
            if other != name:
                names_of.setdefault(node, {other}).add(name)
    found = set(map(frozenset, names_of.values()))
    if len(found) > _MANY:
        return [sorted(frozenset().union(*found))]
    return [sorted(names) for names in found if not any(names < other for other in found)]


def _reached(graph: Graph, taken: Mapping[int, list[int]], nodes: Iterable[int]) -> set[int]:
    back = graph.back
    seen: set[int] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in back:
            pending += [edge >> 2 for edge in back[node]]
        if node in taken:
            pending += taken[node]
    return seen
