"""Positions: every committed entry gets one, whatever happens to transactions and sequencer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connections

from audit import checkpoints, drafts
from audit.daemon import BUSY, BUSY_POLL_S, POLL_S, pause_after
from audit.errors import SequencerBusy
from audit.merkle import Frontier, frontier
from audit.sequencer import BATCH, LOCK, Round, Sequencer
from audit.services import Draft, Subject, record
from audit.transactions import in_workspace
from audit.tree import GrowingTree, StoredTree
from audit.verify import verify_log
from tests.audit.history import ALICE, History, take_lock
from tests.audit.kills import KillAt, Killed
from tests.harness.server import Clone

NOTE = Draft("note.taken", ALICE, Subject("note", "1"))


def test_positions_are_dense_per_workspace(history: History) -> None:
    other = History(uuid4())
    for _ in range(3):
        history.record(NOTE, NOTE)
        other.record(NOTE)
    assert history.place() == 9
    assert _positions(history.workspace) == list(range(6))
    assert _positions(other.workspace) == list(range(3))
    assert history.place() == 0


def test_a_late_commit_is_not_lost(history: History, committing_database: Clone) -> None:
    """The entry with the lower number commits after a higher one was placed."""
    with psycopg.connect(committing_database.url("app")) as late:
        late.execute(
            "SELECT set_config('countersign.workspace', %s, true)", [str(history.workspace)]
        )
        late.execute("INSERT INTO audit_entry (leaf) VALUES (%s)", [_leaf(history.workspace)])
        sequencer = Sequencer("sequencer")
        for _ in range(5):
            history.record(NOTE)
            sequencer.catch_up()
        assert len(_positions(history.workspace)) == 5
        assert sequencer.floor == 0
    assert sequencer.catch_up() == 1
    for _ in range(3):
        sequencer.round()
    assert sequencer.floor == 6
    assert verify_log(history.workspace).clean


def test_a_late_commit_of_the_newest_transaction_is_not_lost(
    history: History, committing_database: Clone
) -> None:
    """The highest transaction id holds the lower number, and nothing begun after it has ended.

    The entry with the higher number commits between any two statements of a round.
    """
    url = committing_database.url("app")
    insert = "INSERT INTO audit_entry (leaf) VALUES (%s)"
    for statement in range(12):
        with psycopg.connect(url) as older, psycopg.connect(url) as newest:
            for connection in (older, newest):
                connection.execute(
                    "SELECT set_config('countersign.workspace', %s, true)", [str(history.workspace)]
                )
            older.execute("SELECT pg_current_xact_id()")
            newest.execute(insert, [_leaf(history.workspace)])
            older.execute(insert, [_leaf(history.workspace)])
            sequencer = Sequencer("sequencer")
            with sequencer.connection.execute_wrapper(_Before(statement, older.commit)):
                placed = sum(sequencer.catch_up() for _ in range(12))
            assert placed == 1
            newest.commit()
        assert sequencer.catch_up() == 1, f"committed before statement {statement}"


class _Before:
    """Does something before the nth statement."""

    def __init__(self, statements: int, act: Callable[[], None]) -> None:
        self.left = statements
        self.act = act

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> object:
        if self.left == 0:
            self.act()
        self.left -= 1
        return execute(*statement)


def test_numbers_burnt_by_rollbacks_hold_nothing_up(history: History) -> None:
    for index in range(6):
        with suppress(RuntimeError), in_workspace(history.workspace):
            record(history.workspace, [NOTE])
            if index % 2:
                raise RuntimeError
    sequencer = Sequencer("sequencer")
    assert sequencer.catch_up() == 3
    sequencer.round()
    sequencer.round()
    assert sequencer.floor == 5
    assert _positions(history.workspace) == [0, 1, 2]


def test_a_round_reads_no_positions_below_its_floor(history: History) -> None:
    """Otherwise each round costs more as the log grows (seen: 11 ms at 70,000 entries)."""
    history.record(*[NOTE] * 600)
    sequencer = Sequencer("sequencer")
    for _ in range(3):
        sequencer.catch_up()
    assert sequencer.floor == 600
    history.record(NOTE)
    with sequencer.connection.execute_wrapper(watch := _Watch()):
        found = sequencer._unplaced()
    assert len(found.entries) == 1
    sql = watch.sql.replace("$1", str(sequencer.floor)).replace("$2", str(sequencer.batch))
    with sequencer.connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        plan = cursor.fetchone()[0][0]["Plan"]
    assert sum(_rows_of(plan, "audit_position")) == 0


def test_many_entries_are_placed_in_fewer_rounds() -> None:
    assert pause_after(Round(placed=BATCH, full=True)) == 0
    assert pause_after(Round(placed=BUSY)) == BUSY_POLL_S > pause_after(Round(placed=1)) == POLL_S
    assert pause_after(Round(), 3600.0) > POLL_S


class _Watch:
    sql = ""

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Sequence[object],
        many: bool,
        context: dict[str, Any],
    ) -> object:
        self.sql = sql
        return execute(sql, params, many, context)


def _rows_of(plan: dict[str, Any], table: str) -> Iterator[float]:
    """Yield how many rows each scan of a table handed on."""
    if plan.get("Relation Name") == table:
        yield plan["Actual Rows"] * plan["Actual Loops"]
    for below in plan.get("Plans", []):
        yield from _rows_of(below, table)


def test_two_sequencers_cannot_both_work(history: History, committing_database: Clone) -> None:
    with psycopg.connect(committing_database.url("sequencer"), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(SequencerBusy):
            Sequencer("sequencer").lock()
    take_lock(Sequencer("sequencer"))


def test_without_the_lock_the_primary_key_refuses_the_second(history: History) -> None:
    history.record(NOTE)
    first, second = Sequencer("sequencer"), Sequencer("sequencer")
    first.catch_up()
    second.catch_up()
    history.record(NOTE)
    second._trees.clear()
    first.round()
    history.record(NOTE, NOTE)
    # What a second sequencer with an older memory would write is refused as a whole.
    second._trees[history.workspace] = _grown(history.workspace, 1)
    with pytest.raises(Exception, match="audit_position_pkey"):
        second.round()
    assert first.catch_up() == 2
    assert verify_log(history.workspace).clean


@pytest.mark.parametrize("count", [255, 256, 257, 600])
def test_tiles_and_proofs_of_larger_trees(history: History, count: int) -> None:
    history.record(*[NOTE] * count)
    history.place()
    history.record(*[NOTE] * 300)
    history.place()
    hashes = _hashes(history.workspace)
    tree = Frontier()
    tree.extend(hashes)
    stored = StoredTree(connections["sequencer"], history.workspace)
    assert frontier(count + 300, stored.nodes).root() == tree.root()
    assert verify_log(history.workspace).clean
    assert history.verify(_signed(history)) == 0


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_statement(history: History, after: bool) -> None:
    for statement in range(14):
        history.record(*[NOTE] * 90)
        connection = connections["sequencer"]
        try:
            with connection.execute_wrapper(KillAt(statement, after=after)):
                sequencer = Sequencer("sequencer")
                sequencer.lock()
                sequencer.catch_up()
                checkpoints.sign_due("sequencer", everything=True)
        except Killed:
            pass
        # The process is gone, and with it its session and its memory.
        connection.close()
        successor = Sequencer("sequencer")
        take_lock(successor)
        successor.unlock()
    history.sign()
    assert len(_positions(history.workspace)) == 14 * 90
    assert verify_log(history.workspace).clean
    assert history.verify(history.export()) == 0


def _signed(history: History) -> Path:
    history.sign()
    return history.export()


def _grown(workspace: UUID, size: int) -> GrowingTree:
    tree = GrowingTree()
    tree.append(_hashes(workspace)[:size])
    return tree


def _positions(workspace: UUID) -> list[int]:
    with connections["reader"].cursor() as cursor:
        cursor.execute(
            "SELECT position FROM audit_position WHERE workspace_id = %s ORDER BY 1", [workspace]
        )
        return [row[0] for row in cursor.fetchall()]


def _hashes(workspace: UUID) -> list[bytes]:
    with connections["reader"].cursor() as cursor:
        cursor.execute(
            "SELECT leaf_hash FROM audit_position WHERE workspace_id = %s ORDER BY position",
            [workspace],
        )
        return [bytes(row[0]) for row in cursor.fetchall()]


def _leaf(workspace: UUID, run: UUID | None = None, seq: int = 0, prev: str = "") -> bytes:
    now = datetime.now(UTC)
    draft = Draft("note.taken", ALICE, Subject("note", "1"), run=run)
    found = drafts.halves(workspace, draft, drafts.new_id(now), now, {})
    link = drafts.link(run, seq, bytes.fromhex(prev)) if run else b""
    return found.before + link + found.after
