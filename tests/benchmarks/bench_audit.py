"""What the log costs: append ratios, the sequencer's rate and lag, verification, storage.

"Plain" is the table one would have without this design: the same columns and indexes,
filled by the client, no trigger, no row-level security, and none of the work of the sequencer,
which runs beside and takes its share of the same cores. Both are measured in turn and the
median of the pairs' ratios is told: what else the machine does changes slower than that.
"""

import json
import multiprocessing
import os
import secrets
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import django
import psycopg
from django.apps import apps

from tests.benchmarks.result import Result

WRITERS = 8
REPEATS = 15
"""Pairs: single ones lie between 0.6 and 1.1 even on a quiet machine."""
WORKSPACE, RUN = uuid4(), uuid4()

PLAIN = """
CREATE TABLE plain_entry (LIKE audit_entry INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE SEQUENCE plain_number OWNED BY plain_entry.number;
ALTER TABLE plain_entry ALTER number SET DEFAULT nextval('plain_number');
CREATE TABLE business (id bigserial PRIMARY KEY, note text);
GRANT ALL ON plain_entry, business TO countersign_app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO countersign_app;
"""
PLAIN_INSERT = (
    "INSERT INTO plain_entry (id, workspace_id, leaf, leaf_hash, time, action, actor_type,"
    " actor_id, actor_name, subject_type, subject_id, subject_version, run_id, run_seq)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
AUDIT_INSERT = "INSERT INTO audit_entry (leaf) VALUES (%s)"


def run() -> list[Result]:
    """Measure everything; about a minute and a half on a quiet machine."""
    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.harness.settings")
        django.setup()
    with _database() as (url, admin):
        admin.execute(PLAIN)
        results = [*_records(), *_appends(url), *_placing(url, admin), _storage(admin)]
    return [*results, *_verification()]


# --- appending ------------------------------------------------------------------------------


def _records() -> list[Result]:
    """What an action pays: `record` in a transaction of its own, as the application does it."""
    results = []
    for entries, names in ((1, ()), (1, ("arguments", "result")), (5, ("arguments", "result"))):
        taken = [_recorded(entries, names) for _ in range(200)]
        what = f"{entries} entries, {entries * len(names)} payloads"
        name = f"audit record, {what}, whole transaction"
        results.append(Result(name, statistics.median(taken[20:]) * 1000, "ms", None, "lower"))
    return results


def _recorded(entries: int, names: Sequence[str]) -> float:
    from audit.services import Actor, Draft, Subject, record
    from audit.transactions import in_workspace

    draft = Draft(
        "call.intended",
        Actor("agent", "payables", "Accounts payable"),
        Subject("run", str(RUN)),
        run=RUN,
        on_behalf_of=Actor("user", "alice", "Alice"),
        detail={"step": 1, "seq": 1, "tool": "create_payment", "arguments": "0" * 64},
        payloads=dict.fromkeys(names, "x" * 400),
    )
    start = time.perf_counter()
    with in_workspace(WORKSPACE):
        record(WORKSPACE, [draft] * entries)
    return time.perf_counter() - start


def _appends(url: Callable[[str], str]) -> list[Result]:
    results = []
    with _sequencer(url) as lags:
        for writers in (1, 4, WRITERS):
            goal = 0.75 if writers == WRITERS else None
            name = f"audit append, {writers} writers, of plain insert"
            ratio = _ratio(url("app"), writers, 1600 // writers, 0.0)
            results.append(Result(name, ratio, "ratio", goal, "higher"))
        lags.clear()
        ratio = _ratio(url("app"), WRITERS, 60, 0.010)
        name = f"audit append in a 10 ms transaction, {WRITERS} writers, of plain"
        results.append(Result(name, ratio, "ratio", 0.95, "higher"))
        time.sleep(0.5)
        results.append(Result("audit lag, median", _percentile(lags, 50), "ms", 250, "lower"))
        results.append(Result("audit lag, p99", _percentile(lags, 99), "ms", 1000, "lower"))
    return results


def _ratio(dsn: str, writers: int, count: int, work_s: float) -> float:
    """Return the median of audit's rate over plain's, of pairs measured one after the other."""
    found = []
    for index in range(REPEATS):
        # Whoever comes second profits from what the first has warmed: take turns.
        order = ("plain", "audit") if index % 2 else ("audit", "plain")
        rates = {kind: _rate(dsn, kind, writers, count, work_s) for kind in order}
        found.append(rates["audit"] / rates["plain"])
    return statistics.median(found)


def _rate(dsn: str, kind: str, writers: int, count: int, work_s: float) -> float:
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(writers + 1)
    processes = [
        context.Process(target=_write, args=(dsn, kind, count, work_s, ready))
        for _ in range(writers)
    ]
    for process in processes:
        process.start()
    ready.wait()
    start = time.perf_counter()
    ready.wait()
    elapsed = time.perf_counter() - start
    for process in processes:
        process.join()
    return writers * count / elapsed


def _write(dsn: str, kind: str, count: int, work_s: float, ready: threading.Barrier) -> None:
    rows = [] if work_s else [_row(index + 1) for index in range(count)]
    sql = AUDIT_INSERT if kind == "audit" else PLAIN_INSERT
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(
            "SELECT set_config('countersign.workspace', %s, false)", [str(WORKSPACE)]
        )
        ready.wait()
        for leaf, columns in rows:
            connection.execute(sql, (leaf,) if kind == "audit" else columns)
        for index in range(count if work_s else 0):
            leaf, columns = _row(index + 1)
            with connection.transaction():
                connection.execute("INSERT INTO business (note) VALUES ('work')")
                connection.execute(sql, (leaf,) if kind == "audit" else columns)
                time.sleep(work_s)
        ready.wait()


def _row(seq: int) -> tuple[bytes, tuple[object, ...]]:
    """Return a leaf of about 600 bytes and its columns."""
    from audit import canonical, merkle

    now = datetime.now(UTC)
    entry_id, run = uuid4(), uuid4()
    body = {
        "v": 1,
        "id": str(entry_id),
        "time": canonical.timestamp(now),
        "workspace": str(WORKSPACE),
        "actor": {"type": "agent", "id": str(uuid4()), "name": "Accounts payable"},
        "on_behalf_of": {"type": "user", "id": str(uuid4()), "name": "Alice"},
        "action": "call.intended",
        "subject": {"type": "run", "id": str(run)},
        "run": str(run),
        "run_seq": seq,
        "prev": secrets.token_hex(32),
        "detail": {"step": 1, "seq": seq, "tool": "create_payment", "arguments": "0" * 64},
    }
    leaf = canonical.encode(body)
    columns = (
        *(entry_id, WORKSPACE, leaf, merkle.leaf_hash(leaf), now, "call.intended", "agent"),
        *("payables", "Accounts payable", "run", str(run), "", run, seq),
    )
    return leaf, columns


# --- placing --------------------------------------------------------------------------------


@contextmanager
def _sequencer(url: Callable[[str], str]) -> Iterator[list[float]]:
    """Run a sequencer beside; yields the lags (ms) it has seen."""
    from audit.daemon import pause_after
    from audit.sequencer import Sequencer

    lags: list[float] = []
    stop = threading.Event()

    def work() -> None:
        sequencer = Sequencer("sequencer")
        sequencer.lock()
        while not stop.is_set():
            done = sequencer.round()
            if done.placed:
                lags.append(done.oldest_s * 1000)
            time.sleep(pause_after(done))
        sequencer.catch_up()
        sequencer.connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lags
    finally:
        stop.set()
        thread.join()


def _placing(url: Callable[[str], str], admin: psycopg.Connection) -> list[Result]:
    from audit.sequencer import Sequencer

    rates = []
    for _ in range(3):
        _rate(url("app"), "audit", 4, 3000, 0.0)
        sequencer = Sequencer("sequencer")
        start = time.perf_counter()
        placed = sequencer.catch_up()
        rates.append(placed / (time.perf_counter() - start))
    name = "audit sequencer, entries placed"
    return [Result(name, statistics.median(rates), "per s", 10_000, "higher")]


def _storage(admin: psycopg.Connection) -> Result:
    admin.execute("VACUUM ANALYZE")
    row = admin.execute(
        "SELECT sum(pg_total_relation_size(c.oid)), (SELECT count(*) FROM audit_entry)"
        " FROM pg_class c WHERE relname IN"
        " ('audit_entry', 'audit_position', 'audit_tile', 'audit_batch')"
    ).fetchone()
    assert row is not None
    return Result(
        "audit storage per entry (leaf 600 B)", float(row[0] / row[1]), "bytes", None, "lower"
    )


# --- verifying ------------------------------------------------------------------------------


def _verification() -> list[Result]:
    # One core's time, not the wall's: the machine may be shared.
    from audit.verifier import countersign_verify as verifier

    leaves = [_row(1)[0] for _ in range(20_000)]
    start = time.process_time()
    tree = verifier.Tree()
    for _ in range(5):
        for leaf in leaves:
            tree.append(verifier.leaf_hash(leaf))
    hashed = 100_000 / (time.process_time() - start)
    return [
        Result("audit verify, leaf hashes and tree", hashed, "per s", 500_000, "higher"),
        Result("audit verify, whole check", _whole(), "per s", 40_000, "higher"),
    ]


def _whole() -> float:
    """Return entries per second of the verifier's whole check over a synthetic bundle."""
    from audit.notes import LocalSigner
    from tests.audit.synthetic import write_bundle

    folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    try:
        bundle, key = write_bundle(folder, LocalSigner(secrets.token_bytes(32)), runs=3000)
        count = json.loads((folder / "count.json").read_text())["entries"]
        start = time.process_time()
        from audit.verifier import countersign_verify as verifier

        options = verifier.Options(policy=verifier.Policy(logs=[verifier.Key.parse(key)]))
        options.now = datetime.now(UTC) + timedelta(days=1)
        checker = verifier.Verifier(verifier.Bundle(bundle), options)
        status = checker.run()
        elapsed = time.process_time() - start
        assert status == 0, checker.findings
        return float(count / elapsed)
    finally:
        shutil.rmtree(folder)


# --- the database ---------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[tuple[Callable[[str], str], psycopg.Connection]]:
    """A durable server (fsync on) of this measurement's own."""
    from countersign.embedded.cluster import Cluster
    from countersign.embedded.location import at
    from tests.harness.server import Server, pointed_at

    folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    folder.chmod(0o711)
    server = Server(folder)
    server.cluster = Cluster(at(folder / "database"), folder / "database.log")
    try:
        server.start()
        clone = server.clone()
        with pointed_at(clone), server.admin.connect(clone.name) as admin:
            yield clone.url, admin
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    for result in run():
        print(f"{result.name:<60} {result.value:>12.2f} {result.unit:<8} goal {result.goal}")  # noqa: T201
