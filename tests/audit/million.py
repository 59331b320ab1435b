"""A log of a million entries, and the questions that people ask of it.

The entries spread over `DAYS` days before today, so that a day is a thirtieth of them: the trigger
that holds an entry's time against the server's clock is loosened for it, by the superuser of a
throw-away server. All else is written as always, by the application's role.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from django.db import connection

from audit import selectors
from audit.canonical import JSON, encode, timestamp
from audit.drafts import Actor, Draft, new_id
from audit.merkle import leaf_hash
from audit.search import Filters
from countersign.accounts.models import Membership
from countersign.accounts.services import PersonDraft
from tests.audit.history import ALICE, BOB, CAROL, run_drafts
from tests.harness.server import Clone

DAYS = 30
PEOPLE, AGENTS, TOOLS = 400, 40, 60
PER_RUN = 9
"""Entries of a run, about: one in three asks for signatures."""
RARE, ABSENT, FREQUENT = "Zanzibar 4711", "words that nothing holds", "invoice"
ACTIONS = tuple(
    draft.action for draft in run_drafts(UUID(int=0), review=True, end=True, payload="")
)
EVERY = 40_000
"""Runs of which one has the rare word in it."""


def crowd(workspace: UUID) -> list[Actor]:
    """The people of the workspace, by name: "Person 000" and so on."""
    rows = Membership.objects.filter(workspace_id=workspace, user__name__startswith="Person ")
    found = rows.order_by("user__name").values_list("user_id", "user__name")
    return [Actor("user", str(key), name) for key, name in found]


def drafts_of_people() -> list[PersonDraft]:
    """Those who are to be members: many operators, and Dan, who audits."""
    people = [
        PersonDraft(f"person-{n:03}", f"Person {n:03}", f"person-{n:03}@example.org", ("operator",))
        for n in range(PEOPLE)
    ]
    return [*people, PersonDraft("dan", "Dan", "dan@example.org", ("auditor",))]


def agent(number: int) -> Actor:
    return Actor("agent", f"agent-{number:02}", f"Agent {number:02}")


def loosen_clock(admin: psycopg.Connection) -> None:
    """Let entries be written that are dated months ago; only a superuser who means it can."""
    admin.execute("SET countersign.migration = 'on'")
    row = admin.execute("SELECT pg_get_functiondef('audit_entry_fill'::regproc)").fetchone()
    assert row is not None
    assert row[0].count("interval '300 s'") == 2
    admin.execute(row[0].replace("interval '300 s'", "interval '100 days'"))


def fill(clone: Clone, workspace: UUID, count: int) -> None:
    """Write whole runs in batches, in the order of their time, as the application's role."""
    with psycopg.connect(clone.url("app")) as writer:
        chunk: list[bytes] = []
        for leaf in leaves(workspace, count // PER_RUN, crowd(workspace)):
            chunk.append(leaf)
            if len(chunk) == 5000:
                _insert(writer, workspace, chunk)
                chunk = []
        _insert(writer, workspace, chunk)


def _insert(writer: psycopg.Connection, workspace: UUID, leaves: list[bytes]) -> None:
    writer.execute("SELECT set_config('countersign.workspace', %s, true)", [str(workspace)])
    writer.execute("INSERT INTO audit_entry (leaf) SELECT unnest(%s::bytea[])", [leaves])
    writer.commit()


def leaves(workspace: UUID, runs: int, people: Sequence[Actor]) -> Iterator[bytes]:
    """Yield the leaves of whole runs by many people, one run after the other."""
    dice = random.Random(5)
    now = datetime.now(UTC) - timedelta(days=DAYS)
    step = timedelta(days=DAYS) / (runs * PER_RUN * 1.1)
    for index in range(runs):
        run, prev = uuid4(), ""
        acting, tool = _cast(dice, people), f"tool-{int(TOOLS * dice.random() ** 3):02}"
        drafts = run_drafts(run, review=index % 3 == 0, end=True, payload="")
        for seq, draft in enumerate(drafts, start=1):
            now += step
            body = _body(workspace, draft, acting, now)
            body |= {"run": str(run), "run_seq": seq, **({"prev": prev} if prev else {})}
            detail: dict[str, JSON] = dict(draft.detail)
            if draft.action == "run.started":
                about = RARE if index % EVERY == EVERY // 2 else f"{FREQUENT} {index}"
                detail = {"note": about, **detail}
            if detail:
                body["detail"] = _told(detail, acting, tool)
            leaf = encode(body)
            prev = leaf_hash(leaf).hex()
            yield leaf


def _cast(dice: random.Random, people: Sequence[Actor]) -> Mapping[str, Actor]:
    """Who plays in a run: a few people do most of it."""
    first = int(len(people) * dice.random() ** 3)
    chosen = [people[(first + offset) % len(people)] for offset in range(3)]
    found = dict(zip((ALICE.id, BOB.id, CAROL.id), chosen, strict=True))
    return {**found, "payables": agent(int(AGENTS * dice.random() ** 2))}


def _body(
    workspace: UUID, draft: Draft, acting: Mapping[str, Actor], now: datetime
) -> dict[str, JSON]:
    actor = acting.get(draft.actor.id, draft.actor)
    return {
        "v": 1,
        "id": str(new_id(now)),
        "time": timestamp(now),
        "workspace": str(workspace),
        "actor": {"type": actor.type, "id": actor.id, "name": actor.name},
        "action": draft.action,
        "subject": {"type": draft.subject.type, "id": draft.subject.id},
    }


def _told(detail: Mapping[str, JSON], acting: Mapping[str, Actor], tool: str) -> dict[str, JSON]:
    """The detail with the people and the tool of this run in place of the pattern's."""
    found = dict(detail)
    if "tool" in found:
        found["tool"] = tool
    if found.get("action") == "call:pay":
        found["action"] = f"call:{tool}"
    if "voters" in found:
        found["voters"] = [{"id": acting[voter["id"]].id} for voter in found["voters"]]
    return found


# --- questions -------------------------------------------------------------------------------

Ask = Callable[[random.Random], tuple[Filters, str]]
"""Makes one question: what is looked for, and after which cursor."""


@dataclass(frozen=True)
class Questions:
    """What people ask of a workspace's log, by kind; each asked with other values each time."""

    workspace: UUID
    runs: Sequence[UUID]
    people: Sequence[Actor]
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    def kinds(self) -> Mapping[str, Ask]:
        return {
            "first page": lambda dice: (Filters(), ""),
            "deep page": lambda dice: (Filters(), self._deep(dice, Filters())),
            "run": lambda dice: (Filters(run=dice.choice(self.runs)), ""),
            "run by id": lambda dice: (Filters(text=str(dice.choice(self.runs))), ""),
            "run by eight digits": lambda dice: (Filters(text=str(dice.choice(self.runs))[:8]), ""),
            "about a run": lambda dice: (Filters(subject=str(dice.choice(self.runs))), ""),
            "busy person": lambda dice: (Filters(actors=self._one(dice, 0, 5)), ""),
            "rare person": lambda dice: (
                Filters(actors=self._one(dice, 300, PEOPLE)),
                "",
            ),
            "several people": lambda dice: (Filters(actors=self._named("Person 01")), ""),
            "many people": lambda dice: (Filters(actors=self._named("Person 0")), ""),
            "person, deep": lambda dice: self._deeper(dice, Filters(actors=self._one(dice, 0, 5))),
            "action": lambda dice: (Filters(actions=("decision.made",)), ""),
            "several actions": lambda dice: (
                Filters(actions=tuple(a for a in ACTIONS if a.startswith(("approval.", "vote.")))),
                "",
            ),
            "action, deep": lambda dice: self._deeper(dice, Filters(actions=("run.ended",))),
            "day": lambda dice: (self._day(dice), ""),
            "day, person": lambda dice: (
                self._day(dice, actors=self._one(dice, 0, PEOPLE)),
                "",
            ),
            "day, action": lambda dice: (self._day(dice, actions=("vote.cast",)), ""),
            "tool": lambda dice: (Filters(tool=f"tool-{dice.randrange(TOOLS):02}"), ""),
            "refused, of which there is none": lambda dice: (Filters(outcome="refused"), ""),
            "done, of a tool": lambda dice: (
                Filters(outcome="done", tool=f"tool-{dice.randrange(TOOLS):02}"),
                "",
            ),
            "frequent word": lambda dice: (Filters(text=FREQUENT), ""),
            "rare word": lambda dice: (Filters(text=RARE), ""),
            "rare word, deep": lambda dice: self._deeper(dice, Filters(text=RARE)),
            "absent words": lambda dice: (Filters(text=ABSENT), ""),
            "rare word of a day": lambda dice: (self._day(dice, text=RARE), ""),
            "all together": lambda dice: (
                self._day(
                    dice,
                    actors=self._named("Person 01"),
                    actions=("run.started",),
                    outcome="done",
                    text=FREQUENT,
                ),
                "",
            ),
            "unknown person": lambda dice: (Filters(actors=("nobody",)), ""),
            "unknown run": lambda dice: (Filters(run=uuid4()), ""),
            "unknown id": lambda dice: (Filters(text=str(uuid4())), ""),
            "unknown eight digits": lambda dice: (Filters(text=str(uuid4())[:8]), ""),
        }

    def _day(self, dice: random.Random, **others: object) -> Filters:
        day = datetime.combine(self.today, datetime.min.time(), UTC)
        since = day - timedelta(days=dice.randrange(1, DAYS - 1))
        return Filters(since=since, until=since + timedelta(days=1), **others)  # type: ignore[arg-type]

    def _one(self, dice: random.Random, first: int, end: int) -> tuple[str, ...]:
        return (self.people[dice.randrange(first, end)].id,)

    def _named(self, name: str) -> tuple[str, ...]:
        """Whose name begins so: "Person 01" are ten, "Person 0" a hundred."""
        return tuple(actor.id for actor in self.people if actor.name.startswith(name))

    def _deeper(self, dice: random.Random, filters: Filters) -> tuple[Filters, str]:
        return filters, self._deep(dice, filters)

    def _deep(self, dice: random.Random, filters: Filters) -> str:
        """The cursor of a page somewhere in the log, which a reader would come to."""
        until = self._day(dice).until
        return selectors.entries(self.workspace, Filters(until=until), limit=1).cursor


@dataclass
class Times:
    """How long the pages of one kind took, milliseconds.

    `spent` is processor time, of this process and of the database's: it says whether a page is
    slow, or only the machine busy.
    """

    all: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def take(self, page: Callable[[], object]) -> None:
        start, before = time.perf_counter(), _spent_ms()
        page()
        self.all.append((time.perf_counter() - start) * 1000)
        self.spent.append(_spent_ms() - before)


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _spent_ms() -> float:
    """Processor time so far of this process and of its database connection's backend."""
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid
    spent_ns = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0])
    return time.process_time() * 1000 + spent_ns / 1e6
