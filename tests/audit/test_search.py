"""Search finds what reading everything finds, in pages, and says where it stopped looking."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import search, selectors
from audit.models import Entry
from audit.search import OUTCOMES, Filters, outcome_of
from audit.services import Draft, Subject
from audit.transactions import current_block, in_workspace
from tests.audit.history import AGENT, ALICE, BOB, CAROL, History

Leaf = dict[str, Any]


@pytest.fixture
def full(history: History) -> History:
    for number in range(4):
        run = history.run(review=number % 2 == 0)
        refused = {"action": "call:pay", "step": 2, "call": 0, "outcome": "deny"}
        history.record(
            Draft(
                "decision.made", AGENT, Subject("decision", f"d{number}"), run=run, detail=refused
            )
        )
    history.record(
        Draft("vote.refused", BOB, Subject("approval_request", str(uuid4()))),
        Draft("tool.registered", CAROL, Subject("tool", str(uuid4())), detail={"name": "pay"}),
        Draft(
            "note.taken",
            CAROL,
            Subject("note", "1"),
            detail={"text": 'says "outcome":"deny" twice'},
        ),
    )
    return history


def everything(history: History) -> list[Entry]:
    with in_workspace(history.workspace):
        return list(Entry.objects.order_by("-time", "-number"))


def pages(history: History, filters: Filters, limit: int = 3) -> list[UUID]:
    """All that is found, page by page."""
    found, cursor = [], ""
    while True:
        page = selectors.entries(history.workspace, filters, cursor=cursor, limit=limit)
        assert len(page.entries) <= limit
        found += [entry.id for entry in page.entries]
        if not page.cursor:
            return found
        cursor = page.cursor


CASES: dict[str, tuple[Filters, Callable[[Entry, Leaf], bool]]] = {
    "all": (Filters(), lambda e, leaf: True),
    "one actor": (Filters(actors=(BOB.id,)), lambda e, leaf: e.actor_id == BOB.id),
    "two actors": (
        Filters(actors=(BOB.id, CAROL.id)),
        lambda e, leaf: e.actor_id in (BOB.id, CAROL.id),
    ),
    "actions of an actor": (
        Filters(actors=(BOB.id, ALICE.id), actions=("vote.cast", "run.started")),
        lambda e, leaf: (
            e.actor_id in (BOB.id, ALICE.id) and e.action in ("vote.cast", "run.started")
        ),
    ),
    "a tool": (
        Filters(tool="pay"),
        lambda e, leaf: (
            leaf.get("detail", {}).get("tool") == "pay"
            or leaf.get("detail", {}).get("action") == "call:pay"
            or e.action == "tool.registered"
        ),
    ),
    "part of a tool's name": (Filters(tool="pa"), lambda e, leaf: False),
    "words": (Filters(text="Bob"), lambda e, leaf: e.actor_name == "Bob" or "Bob" in str(leaf)),
    "words with a quotation mark": (
        Filters(text='"outcome":"deny" tw'),
        lambda e, leaf: e.action == "note.taken",
    ),
    "refused": (
        Filters(outcome="refused"),
        lambda e, leaf: (
            e.action == "vote.refused" or leaf.get("detail", {}).get("outcome") == "deny"
        ),
    ),
    "refused, of a tool": (
        Filters(outcome="refused", tool="pay"),
        lambda e, leaf: leaf.get("detail", {}).get("outcome") == "deny",
    ),
    "nothing": (Filters(actors=("nobody",)), lambda e, leaf: False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_search_finds_what_reading_everything_finds(full: History, case: str) -> None:
    filters, matches = CASES[case]
    wanted = [e.id for e in everything(full) if matches(e, json.loads(bytes(e.leaf)))]
    assert pages(full, filters) == wanted
    with in_workspace(full.workspace), current_block().connection.cursor() as cursor:
        asked = search.matching(Filters.from_text(filters.to_text()))
        cursor.execute(f"SELECT id FROM audit_entry WHERE {asked.sql}", asked.values)
        assert {row[0] for row in cursor.fetchall()} == set(wanted)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_shown_as_an_outcome_is_found_under_it(full: History, outcome: str) -> None:
    shown = [e.id for e in everything(full) if outcome_of(e.action, bytes(e.leaf)) == outcome]
    assert pages(full, Filters(outcome=outcome)) == shown


def test_any_id_is_looked_for_wherever_it_stands(full: History) -> None:
    entries = everything(full)
    run = next(e.run_id for e in entries if e.run_id)
    wanted = [e.id for e in entries if str(run) in (str(e.run_id), e.subject_id)]
    for text in (str(run), str(run).upper(), run.hex, str(run)[:8], str(run)[:13]):
        assert pages(full, Filters(text=text)) == wanted, text
    one = entries[5]
    assert one.id in pages(full, Filters(text=str(one.id)))
    assert pages(full, Filters(text=bytes(one.leaf_hash).hex()))[-1:] == [one.id]
    asked = next(e for e in entries if e.action == "approval.requested")
    about = [e.id for e in entries if e.subject_id == asked.subject_id]
    assert pages(full, Filters(text=asked.subject_id[:8])) == about


def test_a_stretch_of_time_bounds_every_kind_of_search(full: History) -> None:
    entries = everything(full)
    since, until = entries[-10].time, entries[5].time
    inside = [e for e in entries if since <= e.time < until]
    assert pages(full, Filters(since=since, until=until)) == [e.id for e in inside]
    found = pages(full, Filters(since=since, until=until, actors=(AGENT.id, BOB.id)))
    assert found == [e.id for e in inside if e.actor_id in (AGENT.id, BOB.id)]


def test_a_page_says_how_far_it_looked_and_the_next_goes_on_there(
    full: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WINDOW", 7)
    entries = everything(full)
    first = selectors.entries(full.workspace, Filters(text="run.started"), limit=3)
    assert first.looked_to == entries[6].time
    assert first.cursor
    wanted = [e.id for e in entries if e.action == "run.started"]
    assert pages(full, Filters(text="run.started")) == wanted


def test_what_a_stored_search_holds_is_read_or_refused() -> None:
    moment = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
    filters = Filters(
        actions=("run.ended", "run.cancelled"),
        actors=("a", "b"),
        run=uuid4(),
        since=moment,
        until=moment + timedelta(days=1),
        tool="pay",
        outcome="failed",
        text="x y",
    )
    assert Filters.from_text(filters.to_text()) == filters
    for name, wrong, said in (
        ("outcome", "good", "no outcome"),
        ("run", "x", "badly formed"),
        ("since", "yesterday", "isoformat"),
    ):
        with pytest.raises(ValueError, match=said):
            Filters.from_text({name: wrong})


def test_who_has_acted_is_known_by_name(full: History) -> None:
    found = {(row.id, row.type, row.name) for row in selectors.actors(full.workspace)}
    entries = everything(full)
    assert found == {(e.actor_id, e.actor_type, e.actor_name) for e in entries}
    assert selectors.actors(uuid4()) == []


def test_another_workspace_finds_nothing(full: History) -> None:
    entry = everything(full)[0]
    for filters in (Filters(), Filters(text=str(entry.id)), Filters(outcome="refused")):
        assert selectors.entries(uuid4(), filters).entries == []
