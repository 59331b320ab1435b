"""Appending in one statement gives nobody more than the single statements did.

A process remembers data subjects' keys; whoever is erased meanwhile must not get a payload
under the destroyed key. The function that appends runs with its caller's rights.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connections, transaction

from audit import drafts, erasure, keyring
from audit.errors import ChainBroken
from audit.models import Entry, Payload, SubjectKey
from audit.services import Draft, Subject, record
from audit.transactions import in_workspace
from audit.verify import verify_log
from tests.audit.history import ALICE, CAROL, History, draft
from tests.harness.server import Clone

PERSON = "user:mallory"
CALL = "SELECT audit_append(%s, %s, ARRAY[NULL]::uuid[], %s, now(), '{}', '{}', '{}', '{}', '{}')"


@pytest.fixture
def history(committing_database: Clone, tmp_path: Path, settings: LazySettings) -> History:
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return History(uuid4())


def about_person(text: str) -> Draft:
    return Draft(
        "note.taken", ALICE, Subject("note", "1"), payloads={"text": text}, data_subject=PERSON
    )


def erase(history: History) -> None:
    erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")


def test_a_remembered_key_is_not_used_after_its_erasure(history: History) -> None:
    history.record(about_person("before"))
    remembered = _remembered(history)
    erase(history)
    assert _remembered(history) == remembered, "the process still holds the destroyed key"
    history.record(about_person("after"))
    with in_workspace(history.workspace):
        stored = Payload.objects.get()
        assert stored.key_id == SubjectKey.objects.get().id != remembered
    history.sign()
    assert verify_log(history.workspace, open_payloads=True).clean
    assert history.verify(history.export()) == 0


def test_a_key_erased_between_append_and_commit_takes_the_payload_along(history: History) -> None:
    history.record(about_person("before"))

    def too_late() -> None:
        with in_workspace(history.workspace):
            record(history.workspace, [about_person("too late")])
            _elsewhere(lambda: erase(history))

    with pytest.raises(IntegrityError, match="foreign key"):
        too_late()
    with in_workspace(history.workspace):
        assert not Payload.objects.exists()
        assert Entry.objects.filter(action="note.taken").count() == 1


def test_a_key_of_a_rolled_back_transaction_is_not_used(history: History) -> None:
    with in_workspace(history.workspace):
        record(history.workspace, [about_person("never")])
        transaction.set_rollback(True)
    history.record(about_person("x"))
    with in_workspace(history.workspace):
        assert Payload.objects.get().key_id == SubjectKey.objects.get().id


def test_the_second_of_two_writers_of_a_run_is_refused(
    history: History, committing_database: Clone
) -> None:
    run = uuid4()
    leaf, late = _leaf(history.workspace, run), draft(run, "step.proposed", CAROL)
    with psycopg.connect(committing_database.url("app")) as first:
        _enter(first, history.workspace)
        first.execute("INSERT INTO audit_entry (leaf) VALUES (%s)", [leaf])
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(_closing, lambda: history.record(late))
            with pytest.raises(TimeoutError):  # it waits for the first to commit
                second.result(timeout=0.3)
            first.commit()
            with pytest.raises(ChainBroken):
                second.result(timeout=10)
    assert verify_log(history.workspace).clean


def test_who_may_not_insert_may_not_append(history: History, committing_database: Clone) -> None:
    with psycopg.connect(committing_database.url("reader"), autocommit=True) as reader:
        _enter(reader, history.workspace)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit_entry"):
            reader.execute(CALL, [[_leaf(history.workspace, uuid4())], [b""], history.workspace])


def test_nobody_appends_to_another_workspace(history: History, committing_database: Clone) -> None:
    victim = uuid4()
    with psycopg.connect(committing_database.url("app"), autocommit=True) as attacker:
        _enter(attacker, history.workspace)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            attacker.execute(CALL, [[_leaf(victim, uuid4())], [b""], victim])


def _leaf(workspace: UUID, run: UUID) -> bytes:
    now = datetime.now(UTC)
    found = drafts.halves(workspace, draft(run, "run.started", ALICE), drafts.new_id(now), now, {})
    return found.before + drafts.link(run, 1, b"") + found.after


def _enter(connection: psycopg.Connection, workspace: UUID) -> None:
    connection.execute("SELECT set_config('countersign.workspace', %s, false)", [str(workspace)])


def _remembered(history: History) -> UUID:
    return keyring._known[history.workspace, PERSON].id


def _elsewhere(act: Callable[[], object]) -> None:
    """Do something on the connection of another thread, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_closing, act).result(timeout=10)


def _closing(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        connections.close_all()
