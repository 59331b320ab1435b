"""The edges of what a log can show: entries not yet placed, clocks, keys, two stories.

What nothing catches is asserted too, so that the documents cannot promise more.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import LazySettings
from django.db import connections

from audit import anchoring, checkpoints, heads, notes, signing, verify
from audit.canonical import encode, timestamp
from audit.drafts import new_id
from audit.errors import HistoryConflict
from audit.keys import key_directory
from audit.merkle import Frontier, leaf_hash
from audit.sequencer import Sequencer
from audit.transactions import PLATFORM
from audit.verifier import countersign_verify as verifier
from audit.verify import verify_log
from tests.attacks.log_forger import Forger, Placed, relinked
from tests.audit.history import History, run_drafts, take_lock
from tests.audit.witnesses import running_witness
from tests.harness.server import Clone, Server, pointed_at

CHECK = verifier.NUMBER


@pytest.fixture
def history(committing_database: Clone, tmp_path: Path, settings: LazySettings) -> History:
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return History(uuid4())


@pytest.fixture
def admin(committing_database: Clone, database_server: Server) -> Iterator[psycopg.Connection]:
    with database_server.admin.connect(committing_database.name) as connection:
        yield connection


def test_an_entry_deleted_before_it_is_placed_breaks_its_run(
    history: History, admin: psycopg.Connection
) -> None:
    drafts = run_drafts(uuid4(), review=True, end=True, payload="x")
    entries = [history.record(draft)[0] for draft in drafts]
    Forger(admin, history.workspace)
    admin.execute("DELETE FROM audit_entry WHERE id = %s", [entries[5].id])
    history.sign()
    assert not verify_log(history.workspace).clean
    assert history.verify(history.export()) == CHECK["order"]


def test_declared_the_last_unplaced_entry_of_an_open_run_can_vanish(
    history: History, admin: psycopg.Connection
) -> None:
    drafts = run_drafts(uuid4(), review=False, end=False, payload="x")
    entries = [history.record(draft)[0] for draft in drafts]
    Forger(admin, history.workspace)
    admin.execute("DELETE FROM audit_entry WHERE id = %s", [entries[-1].id])
    history.sign()
    assert verify_log(history.workspace).clean
    assert history.verify(history.export()) == 0


def test_entries_hidden_from_the_sequencer_are_found_by_the_operator(
    history: History, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.run()
    history.sign()
    run = history.run()
    Forger(admin, history.workspace)
    # What a sequencer that lies, or one that is stopped, leaves lying there.
    monkeypatch.setattr(verify, "LATE_S", -1.0)
    report = verify_log(history.workspace)
    written = len(run_drafts(run, review=False, end=True, payload=""))
    assert report.unplaced == written
    (finding,) = report.findings
    assert finding.check == "unplaced"
    assert finding.sentence.startswith(f"{written} entries wait for a place")
    assert "no sequencer is at work" in finding.sentence
    sequencer = Sequencer("sequencer")
    take_lock(sequencer)
    (finding,) = verify_log(history.workspace).findings
    sequencer.unlock()
    assert "it does not see them" in finding.sentence


def test_all_signed_anew_with_another_key(history: History) -> None:
    history.run()
    key = str(signing.verifier_keys(history.workspace)[0])
    (key_directory() / signing.CURRENT).unlink()
    history.sign()
    bundle = history.export()
    assert history.verify(bundle) == 0
    assert verifier.main([str(bundle), "--key", key]) == CHECK["container"]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_was_wrong_is_told_by_the_witness(
    history: History, admin: psycopg.Connection, tmp_path: Path, days: int
) -> None:
    """The database's own clock is a day off, so its trigger does not object."""
    with running_witness(tmp_path / "w", _logs(history)) as witness:
        history.run()
        history.sign()
        anchoring.submit_due("sequencer", [witness])
        history.run()
        history.place()
        _shift(Forger(admin, history.workspace), 8, timedelta(days=days))
        history.sign()
        anchoring.submit_due("sequencer", [witness])
    policy = tmp_path / "policy"
    policy.write_text(f"witness w {witness.key}\nquorum w\n")
    assert history.verify(history.export(), "--policy", str(policy)) == CHECK["times"]


def test_a_split_view_is_seen_when_auditors_compare(
    history: History, committing_database: Clone, database_server: Server, tmp_path: Path
) -> None:
    history.run()
    history.sign()
    connections.close_all()
    with _copy(committing_database, database_server) as other:
        with pointed_at(committing_database):
            history.run()
            for_alice = tmp_path / "alice"
            for_alice.write_text(history.sign().note)
        heads.path().unlink()
        with pointed_at(other):
            history.run()
            history.sign()
            bundle_for_bob = history.export()
            assert history.verify(bundle_for_bob) == 0
            assert history.verify(bundle_for_bob, "--seen", str(for_alice)) == CHECK["consistency"]


def test_an_old_bundle_shown_as_new(history: History, tmp_path: Path) -> None:
    history.run()
    history.sign()
    bundle = tmp_path / "old.zip"
    bundle.write_bytes(history.export().read_bytes())
    history.run()
    kept = tmp_path / "kept"
    kept.write_text(history.sign().note)
    assert history.verify(bundle) == 0
    assert history.verify(bundle, "--seen", str(kept)) == CHECK["freshness"]


def test_two_checkpoints_of_one_size_are_never_signed(
    history: History, admin: psycopg.Connection
) -> None:
    history.run()
    history.sign()
    head = next(
        h for h in checkpoints.tree_heads("sequencer") if h.workspace_id == history.workspace
    )
    forger = Forger(admin, history.workspace)
    entries = forger.entries()
    entries[0] = entries[0].edited(detail={"x": 1})
    admin.execute("DELETE FROM audit_position WHERE workspace_id = %s", [history.workspace])
    admin.execute("DELETE FROM audit_batch WHERE workspace_id = %s", [history.workspace])
    admin.execute("DELETE FROM audit_entry WHERE workspace_id = %s", [history.workspace])
    for placed in relinked(entries):
        forger._insert(placed.leaf)
    history.place()
    with pytest.raises(HistoryConflict, match="another root"):
        checkpoints.sign("sequencer", head)


def _shift(forger: Forger, first: int, by: timedelta) -> None:
    """Let entries from `first` on have been written by a wrong clock, truly placed."""
    entries = forger.entries()
    changed = []
    for index, placed in enumerate(entries):
        body = json.loads(placed.leaf)
        if index >= first:
            time = datetime.fromisoformat(body["time"]) + by
            body |= {"time": timestamp(time), "id": str(new_id(time))}
        changed.append(Placed(placed.number, encode(body)))
    _rewrite_in_place(forger, relinked(changed))


def _rewrite_in_place(forger: Forger, entries: list[Placed]) -> None:
    tree = Frontier()
    for position, placed in enumerate(entries):
        digest = leaf_hash(placed.leaf)
        tree.append(digest)
        forger.admin.execute(
            "UPDATE audit_entry SET leaf = %s, leaf_hash = %s WHERE number = %s",
            [placed.leaf, digest, placed.number],
        )
        forger.admin.execute(
            "UPDATE audit_position SET leaf_hash = %s WHERE workspace_id = %s AND position = %s",
            [digest, forger.workspace, position],
        )
    forger.admin.execute(
        "UPDATE audit_batch SET root = %s WHERE workspace_id = %s AND size = %s",
        [tree.root(), forger.workspace, tree.size],
    )


def _logs(history: History) -> list[notes.VerifierKey]:
    return [
        *signing.verifier_keys(history.workspace),
        *signing.verifier_keys(PLATFORM),
    ]


@contextmanager
def _copy(clone: Clone, server: Server) -> Iterator[Clone]:
    copy = Clone(f"{clone.name}_other", clone.host)
    with server.admin.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {copy.name} TEMPLATE {clone.name}".encode())
    try:
        yield copy
    finally:
        server.drop(copy)
