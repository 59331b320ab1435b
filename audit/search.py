"""Search of the log: which index leads, and how deep the rest is looked for.

One condition leads: an id, the run, the subject, the actors, the actions, else time alone. Its
index gives rows newest first; several values are merged as so many ordered scans. Everything else
that is asked is tested row by row on about `WINDOW` rows a page, a share of them for each scan. A
page that ends there says how far it looked, and its cursor goes on from there: a search is never
slow, and never silently short.

Tool, outcome and words are looked for in the canonical bytes. Their form is canonical, so each fact
has one spelling; text of strangers cannot imitate it, since quotation marks in text are escaped.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.models import Entry
from audit.transactions import current_block

WINDOW = 12_000
"""Rows that one page looks at: 10 to 25 ms of processor time, in a log of a million entries."""
MAX_ARMS = 40
"""Scans that are merged at once. More values than that match so often that one scan will do."""

_HASH = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,27}")


@dataclass(frozen=True)
class Outcome:
    """How entries say one thing: by what was done, or inside, in canonical spelling."""

    done: tuple[str, ...] = ()
    """Actions; those that begin with a dot are the endings of any."""
    inside: Mapping[str, tuple[str, ...]] | None = None
    """Action → what its entries then hold, exactly."""

    def actions(self, occurring: Iterable[str]) -> tuple[str, ...]:
        """The actions whose entries may say this."""
        return tuple(a for a in occurring if a.endswith(self.done) or a in (self.inside or {}))

    def says(self, action: str, leaf: bytes) -> bool:
        held = (self.inside or {}).get(action, ())
        return action.endswith(self.done) or any(text.encode() in leaf for text in held)


def _outcomes(*values: str) -> tuple[str, ...]:
    return tuple(f'"outcome":"{value}"' for value in values)


OUTCOMES: Mapping[str, Outcome] = {
    "done": Outcome(
        (".succeeded", "approval.completed", "approval.consumed", "answer.released"),
        {
            "decision.made": _outcomes("allow"),
            "run.ended": _outcomes("succeeded"),
            "vote.cast": ('"answer":"sign"',),
            "log.verified": ('"result":"clean"',),
        },
    ),
    "refused": Outcome(
        (".refused", "_refused", ".denied", ".rejected"),
        {
            "decision.made": _outcomes("deny"),
            "run.ended": _outcomes("denied"),
            "vote.cast": ('"answer":"reject"',),
        },
    ),
    "failed": Outcome(
        (".failed", ".unavailable", ".diverged", ".drifted", ".broken", "approval.expired"),
        {"run.ended": _outcomes("failed", "expired"), "log.verified": ('"result":"findings"',)},
    ),
    "waits": Outcome(("run.parked", "approval.requested"), {"decision.made": _outcomes("review")}),
    "doubt": Outcome(("call.unknown",)),
    "stopped": Outcome(("run.cancelled",)),
}


def outcome_of(action: str, leaf: bytes) -> str:
    """The key of `OUTCOMES` that an entry is found under, or ""."""
    return next((key for key, found in OUTCOMES.items() if found.says(action, leaf)), "")


@dataclass(frozen=True)
class Filters:
    """What entries to find; every field that is given narrows."""

    actions: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    """Ids of whoever did it."""
    subject: str = ""
    """Id of what it was done to."""
    run: UUID | None = None
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    tool: str = ""
    outcome: str = ""
    """A key of `OUTCOMES`."""
    text: str = ""
    """An id, its first eight digits or more, or words as the entry has them."""

    @classmethod
    def from_text(cls, values: Mapping[str, str]) -> "Filters":
        """Read what a form or a stored scope holds.

        Raises:
            ValueError: A run, a time or an outcome that is none.
        """
        run, since, until = values.get("run"), values.get("since"), values.get("until")
        outcome = values.get("outcome", "")
        if outcome and outcome not in OUTCOMES:
            raise ValueError(f"{outcome!r} is no outcome: one of {', '.join(OUTCOMES)}")
        return cls(
            actions=tuple(filter(None, values.get("action", "").split(","))),
            actors=tuple(filter(None, values.get("actor", "").split(","))),
            subject=values.get("subject", ""),
            run=UUID(run) if run else None,
            since=datetime.fromisoformat(since) if since else None,
            until=datetime.fromisoformat(until) if until else None,
            tool=values.get("tool", ""),
            outcome=outcome,
            text=values.get("text", ""),
        )

    def to_text(self) -> dict[str, str]:
        """What `from_text` reads, without what is not given."""
        found = {
            "action": ",".join(self.actions),
            "actor": ",".join(self.actors),
            "subject": self.subject,
            "run": str(self.run or ""),
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "tool": self.tool,
            "outcome": self.outcome,
            "text": self.text,
        }
        return {name: value for name, value in found.items() if value}


EVERYTHING = Filters()


@dataclass(frozen=True)
class Condition:
    """A piece of a WHERE clause and its parameters."""

    sql: str
    values: tuple[Any, ...] = ()

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


@dataclass(frozen=True)
class Found:
    """Rows newest first; `rest` (time, number) is where the looking ended, None at the log's."""

    rows: list[Entry]
    rest: tuple[datetime, int] | None
    exhausted: bool
    """The window ended before the page was full."""


Place = tuple[datetime, int]


def find(
    workspace: UUID,
    filters: Filters,
    *,
    before: Place | None,
    limit: int,
    occurring: Callable[[], Iterable[str]],
) -> Found:
    """Look for at most `limit` entries; inside an open transaction of the workspace.

    Args:
        before: Only what is older than this (time, number).
        occurring: Gives the actions that the log has, where that narrows the search.
    """
    frame = _frame(workspace, filters, before)
    arms, rest = _plan(filters, occurring)
    if not arms:
        return Found([], None, exhausted=False)
    scans = [frame & arm for arm in arms]
    share = max(limit + 1, WINDOW // len(arms)) if rest else limit + 1
    end = _end(scans, share) if rest else None
    if end is not None:
        scans = [scan & Condition("(time, number) >= (%s, %s)", end) for scan in scans]
    rows = _rows(scans, rest, share, limit + 1)
    if len(rows) > limit:
        last = rows[limit - 1]
        return Found(rows[:limit], (last.time, last.number), exhausted=False)
    return Found(rows, end, exhausted=end is not None)


def matching(filters: Filters) -> Condition:
    """Everything that is asked as one condition, for whoever reads all there is."""
    conditions = [*_leads(filters), *_residual(filters)]
    if filters.text:
        conditions.append(_any(_text_arms(filters.text)))
    if filters.outcome:
        conditions.append(_says(OUTCOMES[filters.outcome]))
    if filters.since is not None:
        conditions.append(Condition("time >= %s", (filters.since,)))
    if filters.until is not None:
        conditions.append(Condition("time < %s", (filters.until,)))
    found = Condition("true")
    for each in conditions:
        found = found & each
    return found


def _frame(workspace: UUID, filters: Filters, before: Place | None) -> Condition:
    """What every scan is bound by: the workspace and the stretch of time."""
    frame = Condition("workspace_id = %s", (workspace,))
    if filters.since is not None:
        frame &= Condition("time >= %s", (filters.since,))
    if filters.until is not None:
        frame &= Condition("time < %s", (filters.until,))
    if before is not None:
        frame &= Condition("(time, number) < (%s, %s)", before)
    return frame


def _plan(
    filters: Filters, occurring: Callable[[], Iterable[str]]
) -> tuple[list[Condition], list[Condition]]:
    """Return the scans that lead, and what their rows are tested for."""
    leads, rest = _leads(filters), _residual(filters)
    wanted = OUTCOMES.get(filters.outcome)
    if filters.text and _is_id(filters.text):
        arms = _text_arms(filters.text)
        rest = [*leads, *rest]
    elif leads:
        arms, rest = _split(leads[0]), [*leads[1:], *rest]
    elif wanted or filters.tool:
        # Nothing leads but what the entry says: only such actions as may say it are read.
        may = [a for a in occurring() if not filters.tool or _of_tools(a)]
        arms = _split(Condition("action = ANY(%s)", ([*(wanted.actions(may) if wanted else may)],)))
    else:
        arms = [Condition("true")]
    if wanted:
        rest.append(_says(wanted))
    if filters.text and not _is_id(filters.text):
        rest.append(_any(_text_arms(filters.text)))
    return arms, rest


def _leads(filters: Filters) -> list[Condition]:
    """Conditions that an index answers, the narrowest first."""
    found = []
    if filters.run is not None:
        found.append(Condition("run_id = %s", (filters.run,)))
    if filters.subject:
        found.append(Condition("subject_id = %s", (filters.subject,)))
    if filters.actors:
        found.append(Condition("actor_id = ANY(%s)", ([*filters.actors],)))
    if filters.actions:
        found.append(Condition("action = ANY(%s)", ([*filters.actions],)))
    return found


def _split(lead: Condition) -> list[Condition]:
    """One scan for each value: an index gives one value's rows in order, not those of several."""
    column, is_list, _ = lead.sql.partition(" = ANY(")
    if not is_list:
        return [lead]
    values = lead.values[0]
    if len(values) > MAX_ARMS:
        return [lead]
    return [Condition(f"{column} = %s", (value,)) for value in dict.fromkeys(values)]


def _residual(filters: Filters) -> list[Condition]:
    """Conditions that no index answers and no plan turns into one."""
    if not filters.tool:
        return []
    name = _spelled(filters.tool)
    about = Condition("action LIKE %s", ("tool.%",)) & _holds(f'"name":"{name}"')
    return [_any([_holds(f'"tool":"{name}"', f'"action":"call:{name}"'), about])]


def _says(outcome: Outcome) -> Condition:
    endings = [f"%{ending.replace('_', chr(92) + '_')}" for ending in outcome.done]
    conditions = [Condition("action LIKE ANY(%s)", (endings,))]
    for action, held in (outcome.inside or {}).items():
        conditions.append(Condition("action = %s", (action,)) & _holds(*held))
    return _any(conditions)


def _text_arms(text: str) -> list[Condition]:
    """Where an id may stand, each row in one arm only; or the words, anywhere in the entry."""
    if (whole := _uuid(text)) is not None:
        name = str(whole)
        return [
            Condition("id = %s", (whole,)),
            Condition("subject_id = %s", (name,)),
            Condition("run_id = %s AND subject_id <> %s", (whole, name)),
            Condition(
                "actor_id = %s AND subject_id <> %s AND run_id IS DISTINCT FROM %s",
                (name, name, whole),
            ),
        ]
    if _PREFIX.fullmatch(text.lower()):
        first, last = _between(text.lower())
        return [
            Condition("subject_id BETWEEN %s AND %s", (first, last)),
            Condition(
                "run_id BETWEEN %s AND %s AND subject_id NOT BETWEEN %s AND %s",
                (UUID(first), UUID(last), first, last),
            ),
        ]
    holds = _holds(_spelled(text))
    if _HASH.fullmatch(text.lower()):
        return [_any([holds, Condition("leaf_hash = %s", (bytes.fromhex(text),))])]
    return [holds]


def _is_id(text: str) -> bool:
    return _uuid(text) is not None or _PREFIX.fullmatch(text.lower()) is not None


def ids_from(text: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin so; None for less than eight digits of one."""
    whole = _uuid(text)
    if whole is None and not _PREFIX.fullmatch(text):
        return None
    first, last = _between(text)
    return UUID(first), UUID(last)


def _between(prefix: str) -> tuple[str, str]:
    """The first and the last id that begin so."""
    digits = prefix.replace("-", "")[:32]
    return str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))


def _holds(*texts: str) -> Condition:
    """The entry's bytes hold one of these."""
    return _any([Condition("position(%s::bytea IN leaf) > 0", (text.encode(),)) for text in texts])


def _any(conditions: Sequence[Condition]) -> Condition:
    values = tuple(value for each in conditions for value in each.values)
    return Condition("(" + " OR ".join(f"({each.sql})" for each in conditions) + ")", values)


def _rows(
    scans: Sequence[Condition], rest: Sequence[Condition], share: int, most: int
) -> list[Entry]:
    """Merge the newest `share` rows of each scan; return at most `most` that pass the tests."""
    # A limit on each: one on the whole alone makes the database sort all that matches, since it
    # does not see through row-level security that the scans are ordered (0.7 s for 44,000 rows).
    inner = " UNION ALL ".join(
        f"(SELECT * FROM audit_entry WHERE {scan.sql}"  # noqa: S608 - made of constants
        " ORDER BY time DESC, number DESC LIMIT %s)"
        for scan in scans
    )
    where = " AND ".join(each.sql for each in rest) or "true"
    values = [value for scan in scans for value in (*scan.values, share)]
    values += [value for each in rest for value in each.values]
    found = Entry.objects.using(current_block().using).raw(
        f"SELECT * FROM ({inner}) AS seen WHERE {where}"  # noqa: S608 - made of constants
        " ORDER BY time DESC, number DESC LIMIT %s",
        [*values, most],
    )
    return list(found)


def _end(scans: Sequence[Condition], share: int) -> Place | None:
    """Where the first of the scans has used up its share; None where all reach the log's end."""
    sql = " UNION ALL ".join(
        f"(SELECT time, number FROM audit_entry WHERE {scan.sql}"  # noqa: S608 - made of constants
        " ORDER BY time DESC, number DESC LIMIT 1 OFFSET %s)"
        for scan in scans
    )
    with current_block().connection.cursor() as cursor:
        cursor.execute(sql, [value for scan in scans for value in (*scan.values, share - 1)])
        ends = [(row[0], int(row[1])) for row in cursor.fetchall()]
    return max(ends, default=None)


def _of_tools(action: str) -> bool:
    return action.startswith(("call.", "tool.", "effect.")) or action == "decision.made"


def _spelled(text: str) -> str:
    """Text as canonical JSON has it, without the quotation marks around it."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None
