"""A million entries: search, export and verification in bounded time and memory."""

import resource
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from audit import selectors, signing
from audit.sequencer import Sequencer
from tests.audit import synthetic
from tests.audit.history import History
from tests.benchmarks.result import Result
from tests.harness.server import Clone

pytestmark = pytest.mark.soak
ENTRIES = 1_000_000


def fill(clone: Clone, workspace: uuid.UUID, count: int) -> None:
    """Write whole runs by four writers, in batches, as the application role."""

    def write(share: int) -> None:
        with psycopg.connect(clone.url("app")) as connection:
            chunk: list[bytes] = []
            for leaf in synthetic.leaves(workspace, share // 9 + 1, real_time=True):
                chunk.append(leaf)
                if len(chunk) == 2000:
                    insert(connection, chunk)
                    chunk = []
            insert(connection, chunk)

    def insert(connection: psycopg.Connection, leaves: list[bytes]) -> None:
        connection.execute("SELECT set_config('countersign.workspace', %s, true)", [str(workspace)])
        connection.execute("INSERT INTO audit_entry (leaf) SELECT unnest(%s::bytea[])", [leaves])
        connection.commit()

    threads = [threading.Thread(target=write, args=[count // 4]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_million_entries(
    history: History, committing_database: Clone, measured: list[Result], tmp_path: Path
) -> None:
    fill(committing_database, history.workspace, ENTRIES)
    sequencer = Sequencer("sequencer")
    start = time.perf_counter()
    placed = sequencer.catch_up()
    rate = placed / (time.perf_counter() - start)
    measured.append(Result("audit soak: entries placed", rate, "per s", 10_000, "higher"))
    history.sign()

    pages = []
    some = selectors.entries(history.workspace, limit=1).entries[0]
    asked = (
        selectors.Filters(),
        selectors.Filters(actors=("alice",)),
        selectors.Filters(actors=("alice", "bob")),
        selectors.Filters(actions=("run.started", "run.ended", "vote.cast")),
        selectors.Filters(actors=("bob",), actions=("vote.cast",)),
        selectors.Filters(outcome="refused"),
        selectors.Filters(outcome="done", tool="pay"),
        selectors.Filters(text="words that nothing holds"),
        selectors.Filters(text=str(some.run_id)),
        selectors.Filters(text=str(some.run_id)[:8]),
    )
    for filters in asked:
        cursor = ""
        for _ in range(20):
            start = time.perf_counter()
            page = selectors.entries(history.workspace, filters, cursor=cursor)
            pages.append((time.perf_counter() - start) * 1000)
            cursor = page.cursor
    p95 = sorted(pages)[len(pages) * 95 // 100]
    measured.append(Result("audit soak: search page, p95", p95, "ms", 150, "lower"))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    bundle = history.export(payloads=False)
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    measured.append(Result("audit soak: export, a million entries", seconds, "s", None, "lower"))
    measured.append(Result("audit soak: export, memory on top", grown, "MB", 150, "lower"))

    program = (
        "import resource,sys,time\n"
        "from audit.verifier import countersign_verify as v\n"
        "start=time.process_time(); status=v.main(sys.argv[1:])\n"
        "peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024\n"
        "print('measured',status,time.process_time()-start,peak)\n"
    )
    key = str(signing.verifier_keys(history.workspace)[0])
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle), "--key", key, "--skew", "100000"],
        capture_output=True,
        text=True,
        check=True,
    )
    _, status, spent, peak = done.stdout.splitlines()[-1].split()
    assert status == "0", done.stdout
    rate = placed / float(spent)
    measured.append(Result("audit soak: verify, on one core", rate, "per s", 40_000, "higher"))
    measured.append(Result("audit soak: verify, peak memory", float(peak), "MB", 150, "lower"))
    assert p95 <= 150
    assert grown <= 150
    assert float(peak) <= 150
