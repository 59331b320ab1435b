"""What sensitive results of a run are told again, word for word, by what is about to leave it.

The analysis follows values; a model that has read one can type it again, or have a tool keep it and
read it from there. So what the run's tools gave under a label is looked for in each argument and
answer that leaves: a text with a blank or a digit in it, each line by itself, and a number of five
digits or more. Case, blanks and marks make no difference. Not found: what is said in other words,
encoded or cut into parts, a single word, a date, and what stands in the task as well.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agents import heard
from agents.heard import Heard
from audit.canonical import JSON
from policies.facts.record import Origin, ToolSpec
from policies.facts.roles import is_key
from policies.requests import is_outward

if TYPE_CHECKING:
    from agents.session import Session

OPEN_LABELS = frozenset({"untrusted", "external", "outward", "public", "egress"})
"""Labels that say who wrote something; all others say who must not read it."""
SHORTEST, SHORTEST_SECRET, SHORTEST_NUMBER = 8, 6, 5


def told_again(
    origins: Mapping[str, Origin],
    arguments: Mapping[str, JSON],
    tool: ToolSpec,
    session: "Session",
) -> dict[str, Origin]:
    """The origins of arguments, with the labels of what they tell again where that leaves."""
    found = dict(origins)
    if not is_outward(tool.effect, tool.labels) or not _has_sensitive(session):
        return found
    for name in filter(found.__contains__, arguments):
        role = tool.role(name)
        if role != "recipient" and not (tool.effect == "read" and is_key(name, role)):
            more = labels_in(arguments[name], session, found[name].labels)
            found[name] = found[name].joined(Origin(labels=more))
    return found


def labels_in(
    value: JSON, session: "Session", known: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Labels of the results that a value tells again, but for those known already."""
    labels: frozenset[str] = frozenset()
    if not _has_sensitive(session):
        return labels
    said = Heard(value)
    for call in heard.calls(session):
        its = session.tools[call.tool_version.tool.name].spec.labels
        more = its - OPEN_LABELS - known - labels
        if more and _tells(said, heard.of_call(session, call), heard.of_task(session), more):
            labels |= more
    return labels


def _has_sensitive(session: "Session") -> bool:
    return any(tool.spec.labels - OPEN_LABELS for tool in session.tools.values())


def _tells(said: Heard, given: Heard, task: Heard, labels: frozenset[str]) -> bool:
    told = (said.numbers & given.numbers) - task.numbers
    if any(len(number.replace(".", "")) >= SHORTEST_NUMBER for number in told):
        return True
    shortest = SHORTEST_SECRET if "secret" in labels else SHORTEST
    text = said.solid
    found = [line for line in given.lines if len(line) >= shortest and line in text]
    return any(line not in task.solid for line in found)
