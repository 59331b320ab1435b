"""Whatever dies, every committed entry is in the tree once, and every proof holds.

Eight writers commit late, roll back and interleave, and some have the id of their transaction long
before the numbers of their entries; the sequencer is killed at random
statements; the database server is stopped at once (SIGQUIT, as a crash) and started again.
The server of these tests writes durably, unlike that of the others.
"""

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import LazySettings
from django.db import Error as DatabaseError
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit import drafts
from audit.errors import SequencerBusy
from audit.sequencer import Sequencer
from audit.services import Draft, Subject
from audit.verify import verify_log
from countersign.embedded.cluster import Cluster
from countersign.embedded.location import at
from tests.audit.history import ALICE, History
from tests.audit.kills import KillAt, Killed
from tests.harness.server import Clone, Server, pointed_at

WRITERS = 8
APPEND = "SELECT audit_append(%s, %s, %s, %s, now(), '{}', '{}', '{}', '{}', '{}')"


@pytest.fixture
def server(django_db_blocker: DjangoDbBlocker) -> Iterator[Server]:
    """A server of this test's own, which may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    folder.chmod(0o711)
    server = Server(folder)
    server.cluster = Cluster(at(folder / "database"), folder / "database.log")
    try:
        with django_db_blocker.unblock():
            server.start()
            yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Writers:
    """Threads that write until each has committed its share, and all crashes are over.

    Whoever was done before would leave the last crashes without anybody to disturb.
    """

    clone: Clone
    workspace: UUID
    each: int
    committed: set[UUID] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def start(self, seed: int) -> None:
        self._threads = [
            threading.Thread(target=self._work, args=[random.Random(seed + number)], daemon=True)
            for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, dice: random.Random) -> None:
        run, left = uuid4(), self.each
        while left > 0 or not self.over.is_set():
            with suppress(psycopg.Error), self._connected() as connection:
                while left > 0 or not self.over.is_set():
                    left -= self._one(connection, dice, run)

    def _connected(self) -> psycopg.Connection:
        while True:
            try:
                return psycopg.connect(self.clone.url("app"))
            except psycopg.OperationalError:
                time.sleep(0.05)

    def _one(self, connection: psycopg.Connection, dice: random.Random, run: UUID) -> int:
        """Write one entry or two in a transaction; return 1 where it counted."""
        ids = self._insert(connection, dice, run)
        if dice.random() < 0.05:
            time.sleep(dice.random() * 0.02)
        if dice.random() < 0.15:
            connection.rollback()
            return 0
        try:
            connection.commit()
        except psycopg.Error:
            # Nobody knows whether a commit that was not answered took place. Ask.
            if not self._there(ids):
                return 0
        self.committed |= set(ids)
        return 1

    def _insert(self, connection: psycopg.Connection, dice: random.Random, run: UUID) -> list[UUID]:
        now, count = datetime.now(UTC), dice.choice([1, 1, 2])
        ids = [drafts.new_id(now) for _ in range(count)]
        draft = Draft("note.taken", ALICE, Subject("note", "1"), run=run)
        leaves = [drafts.halves(self.workspace, draft, entry, now, {}) for entry in ids]
        self._enter(connection)
        if dice.random() < 0.3:
            connection.execute("SELECT pg_current_xact_id()")
            time.sleep(dice.random() * 0.005)
        befores, afters = [leaf.before for leaf in leaves], [leaf.after for leaf in leaves]
        connection.execute(APPEND, [befores, afters, [run] * count, self.workspace])
        return ids

    def _there(self, ids: list[UUID]) -> bool:
        while True:
            # The server may crash again while it is asked: whoever gives up here counts a
            # commit that took place as one that did not.
            with suppress(psycopg.Error), self._connected() as connection:
                self._enter(connection)
                row = connection.execute(
                    "SELECT count(*) FROM audit_entry WHERE id = ANY (%s)", [ids]
                ).fetchone()
                assert row is not None
                assert row[0] in (0, len(ids)), "half a transaction is there"
                return bool(row[0])

    def _enter(self, connection: psycopg.Connection) -> None:
        connection.execute(
            "SELECT set_config('countersign.workspace', %s, true)", [str(self.workspace)]
        )


def crash_and_start(server: Server) -> None:
    """Stop the server at once, as a crash would, and start it again."""
    pid = server.cluster.running()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    while server.cluster.running() is not None:
        time.sleep(0.02)
    server.cluster.start()


def crash_often(server: Server, writers: Writers, times: int) -> None:
    """Crash each time the writers have got a part further, and wait for them to end.

    Not by the clock: on a slow machine they would never get anywhere between two crashes.
    """
    total = WRITERS * writers.each
    try:
        for crash in range(1, times + 1):
            while len(writers.committed) * (times + 1) < total * crash:
                time.sleep(0.05)
            crash_and_start(server)
    finally:
        writers.over.set()
    writers.join()


def sequence_badly(dice: random.Random) -> None:
    """Be a sequencer that is killed before or after one of its next statements."""
    connection = connections["sequencer"]
    try:
        with connection.execute_wrapper(KillAt(dice.randrange(60), after=dice.random() < 0.5)):
            sequencer = Sequencer("sequencer", batch=997)
            sequencer.lock()
            for _ in range(20):
                sequencer.round()
    except (Killed, SequencerBusy, DatabaseError):
        # Busy: the server has not yet noticed that the killed one is gone.
        pass
    with suppress(DatabaseError):
        connection.close()


def play(server: Server, each: int, times: int, seed: int = 7) -> None:
    clone = server.clone()
    with pointed_at(clone):
        history = History(uuid4())
        writers = Writers(clone, history.workspace, each)
        writers.start(seed)
        crasher = threading.Thread(target=crash_often, args=[server, writers, times])
        crasher.start()
        dice = random.Random(seed)
        while crasher.is_alive():
            sequence_badly(dice)
        judge(history, writers.committed)


def judge(history: History, committed: set[UUID]) -> None:
    """No entry lost, none twice, positions dense, every proof valid."""
    history.sign()
    with connections["reader"].cursor() as cursor:
        cursor.execute(
            "SELECT p.position, e.id FROM audit_position p"
            " JOIN audit_entry e ON e.number = p.entry_number"
            " WHERE p.workspace_id = %s ORDER BY p.position",
            [history.workspace],
        )
        rows = cursor.fetchall()
    assert [position for position, _ in rows] == list(range(len(committed)))
    there = {entry for _, entry in rows}
    assert there == committed, (len(there - committed), len(committed - there))
    report = verify_log(history.workspace)
    assert report.clean, [f"{each.check}: {each.sentence}" for each in report.findings[:9]]
    assert report.entries == len(committed)
    assert history.verify(history.export(), "--allow-open") == 0


def test_nothing_is_lost_nor_twice(server: Server, tmp_path: Path, settings: LazySettings) -> None:
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    play(server, each=60, times=3)


@pytest.mark.soak
def test_nothing_is_lost_nor_twice_of_a_hundred_thousand(
    server: Server, tmp_path: Path, settings: LazySettings
) -> None:
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    play(server, each=10_000, times=40)
