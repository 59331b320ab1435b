"""Recording, as the application role: what an entry becomes, and what is refused."""

import json
import tracemalloc
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from audit import payloads, selectors, wire
from audit.canonical import decode
from audit.errors import (
    CanonicalError,
    EntryTooLarge,
    NotInTransaction,
    PayloadDamaged,
    WrongWorkspace,
)
from audit.keys import NONCE_SIZE
from audit.merkle import leaf_hash
from audit.models import Entry, Payload
from audit.services import Actor, Draft, Recorded, Subject, record
from audit.transactions import PLATFORM, in_workspace
from tests.audit.history import ALICE
from tests.harness.server import Clone

pytestmark = pytest.mark.usefixtures("database", "home")

NOTE = Draft("note.taken", ALICE, Subject("note", "1"))


def write(workspace: UUID, *drafts: Draft) -> list[Recorded]:
    with in_workspace(workspace):
        return record(workspace, drafts)


def leaf_of(entry: Recorded) -> bytes:
    with in_workspace(entry.workspace_id):
        return bytes(Entry.objects.get(id=entry.id).leaf)


def test_runs_as_the_application_role(database: Clone) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        assert cursor.fetchone() == ("countersign_app", database.name)


def test_the_leaf_is_canonical_and_the_columns_are_its(workspace: UUID) -> None:
    run = uuid4()
    draft = Draft(
        "call.intended",
        Actor("agent", "a1", "Agent"),
        Subject("call", "c1", "v9"),
        run=run,
        on_behalf_of=ALICE,
        detail={"step": 1, "tool": "pay", "labels": ["x", "ü"]},
    )
    entry = write(workspace, draft)[0]
    with in_workspace(workspace):
        stored = Entry.objects.get(id=entry.id)
    body = decode(bytes(stored.leaf))
    assert (stored.time, stored.workspace_id) == (entry.time, entry.workspace_id)
    assert bytes(stored.leaf_hash) == leaf_hash(bytes(stored.leaf))
    assert body["detail"] == {"step": 1, "tool": "pay", "labels": ["x", "ü"]}
    assert (stored.action, stored.actor_id, stored.subject_version) == ("call.intended", "a1", "v9")
    assert (stored.run_id, stored.run_seq, stored.number) == (run, 1, entry.number)
    assert body["on_behalf_of"]["id"] == "alice"


def test_a_run_counts_and_links_its_entries(workspace: UUID) -> None:
    run, other = uuid4(), uuid4()
    first = write(workspace, NOTE, _of(run), _of(other), _of(run))
    second = write(workspace, _of(run))
    found = selectors.run_entries(workspace, run)
    assert [entry.run_seq for entry in found] == [1, 2, 3]
    assert found[0].id == first[1].id
    assert found[2].id == second[0].id
    assert "prev" not in json.loads(bytes(found[0].leaf))
    for before, after in pairwise(found):
        assert json.loads(bytes(after.leaf))["prev"] == bytes(before.leaf_hash).hex()


def test_many_drafts_cost_one_statement(workspace: UUID) -> None:
    run = uuid4()
    with in_workspace(workspace), connection.execute_wrapper(counter := _Counter()):
        record(workspace, [_of(run) for _ in range(20)])
    assert counter.statements == 1


def test_a_runs_head_is_found_without_reading_its_workspace(workspace: UUID) -> None:
    """Without statistics the planner would intersect two indexes: slower with each entry."""
    run = uuid4()
    with in_workspace(workspace):
        record(workspace, [*[NOTE] * 500, *[_of(run)] * 40])
        before = _index_entries_read()
        record(workspace, [_of(run)])
        assert _index_entries_read() - before < 20


def _index_entries_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index"
            " WHERE indrelid = 'audit_entry'::regclass"
        )
        return int(cursor.fetchone()[0])


def test_without_a_workspace_transaction(workspace: UUID) -> None:
    with pytest.raises(NotInTransaction):
        record(workspace, [NOTE])
    with transaction.atomic(), pytest.raises(NotInTransaction):
        record(workspace, [NOTE])


def test_in_the_transaction_of_another_workspace(workspace: UUID) -> None:
    with in_workspace(uuid4()), pytest.raises(WrongWorkspace):
        record(workspace, [NOTE])
    with in_workspace(workspace), pytest.raises(WrongWorkspace), in_workspace(uuid4()):
        pass


def test_another_workspace_sees_nothing(workspace: UUID) -> None:
    entry = write(workspace, NOTE)[0]
    assert selectors.entry(workspace, entry.id) is not None
    assert selectors.entry(uuid4(), entry.id) is None
    assert selectors.entries(uuid4()).entries == []
    assert Entry.objects.count() == 0


def test_the_database_refuses_an_entry_of_another_workspace(workspace: UUID) -> None:
    body = json.loads(leaf_of(write(workspace, NOTE)[0]))
    leaf = json.dumps({**body, "id": str(uuid4()), "workspace": str(uuid4())}).encode()
    with pytest.raises(DatabaseError, match="row-level security"), in_workspace(workspace):
        _insert(leaf)


def test_the_platform_has_a_log_of_its_own() -> None:
    with in_workspace(None):
        entry = record(None, [NOTE])[0]
    assert entry.workspace_id == PLATFORM
    assert selectors.entry(None, entry.id) is not None


def test_hostile_text_is_recorded(workspace: UUID) -> None:
    draft = Draft("note.taken", ALICE, Subject("note", "\0\ud800"), detail={"x": ["a\0"]})
    body = json.loads(leaf_of(write(workspace, draft)[0]))
    assert body["subject"]["id"] == "\ufffd\ufffd"
    assert body["detail"] == {"x": ["a\ufffd"]}


@pytest.mark.parametrize("value", [1.5, None, 2**60, b"x"])
def test_detail_outside_the_profile(workspace: UUID, value: object) -> None:
    with pytest.raises(CanonicalError):
        write(workspace, Draft("note.taken", ALICE, Subject("note", "1"), detail={"x": value}))


def test_a_leaf_has_a_limit(workspace: UUID) -> None:
    detail = {"x": "y" * 66_000}
    with pytest.raises(EntryTooLarge):
        write(workspace, Draft("note.taken", ALICE, Subject("note", "1"), detail=detail))


EDGE = payloads.LARGE
"""From here on a payload is encrypted another way."""


SMALL = ("text ü", "", b"\0\xff", {"a": [1.5, None]}, "\ud800", 7)
LARGER = (*map(bytes, (EDGE - 1, EDGE, EDGE + 1, wire.LARGE)), "ü" * EDGE, ["x" * EDGE])


@pytest.mark.parametrize("value", [*SMALL, *LARGER], ids=lambda value: str(value)[:8])
def test_payloads_come_back_as_they_were(workspace: UUID, value: object) -> None:
    entry = write(workspace, _with_payload(value))[0]
    with in_workspace(workspace):
        stored = Payload.objects.get(entry_id=entry.id)
        commitment = json.loads(leaf_of(entry))["payloads"]["p"]
        opened = payloads.open_payload(stored, commitment)
    assert opened.value == value
    assert payloads.commit(opened.salt, opened.data) == commitment["commitment"]
    assert b"text" not in bytes(stored.sealed)
    assert len(stored.sealed) == NONCE_SIZE + payloads.SALT_SIZE + len(opened.data) + 16


def test_large_and_small_payloads_of_many_entries_go_together(workspace: UUID) -> None:
    values = [b"a" * wire.LARGE, b"", b"b" * EDGE, b"c"]
    entries = write(workspace, NOTE, *map(_with_payload, values))[1:]
    with in_workspace(workspace):
        for entry, value in zip(entries, values, strict=True):
            stored = Payload.objects.get(entry_id=entry.id)
            commitment = json.loads(leaf_of(entry))["payloads"]["p"]
            assert payloads.open_payload(stored, commitment).value == value


def test_a_large_payload_is_in_memory_once_more_and_no_oftener(workspace: UUID) -> None:
    """A file that somebody sends is held by the web process; each copy of it is its size again."""
    size = 8 << 20
    draft = _with_payload(bytes(size))
    write(workspace, NOTE, _with_payload(b"the key is made"))
    tracemalloc.start()
    try:
        entry = write(workspace, draft)[0]
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 1.25 * size
    assert json.loads(leaf_of(entry))["payloads"]["p"]["length"] == size


def test_a_payload_does_not_open_for_another_entry(workspace: UUID) -> None:
    one, two = write(workspace, _with_payload("a"), _with_payload("b"))
    with in_workspace(workspace):
        stored = Payload.objects.get(entry_id=one.id)
        stored.entry_id = two.id
        with pytest.raises(PayloadDamaged):
            payloads.open_payload(stored, json.loads(leaf_of(two))["payloads"]["p"])


def test_the_trace_is_that_of_the_span(workspace: UUID) -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        entry = write(workspace, NOTE)[0]
    assert json.loads(leaf_of(entry))["trace"] == f"{0xABC:032x}"


@pytest.mark.parametrize("shift", [-86_400, 86_400])
def test_the_database_refuses_a_time_that_is_not_now(workspace: UUID, shift: int) -> None:
    body = json.loads(leaf_of(write(workspace, NOTE)[0]))
    year = int(body["time"][:4]) + (1 if shift > 0 else -1)
    leaf = json.dumps({**body, "id": str(uuid4()), "time": f"{year}{body['time'][4:]}"}).encode()
    with pytest.raises(DatabaseError, match="not the time"), in_workspace(workspace):
        _insert(leaf)


def test_pages_go_through_everything_once(workspace: UUID) -> None:
    run = uuid4()
    written = write(workspace, *[_of(run) for _ in range(25)])
    found, cursor = [], ""
    while True:
        page = selectors.entries(workspace, cursor=cursor, limit=10)
        found += [entry.id for entry in page.entries]
        cursor = page.cursor
        if not cursor:
            break
    assert found == [entry.id for entry in reversed(written)]


def test_filters_narrow(workspace: UUID) -> None:
    run = uuid4()
    write(workspace, NOTE, _of(run))
    by = selectors.Filters
    for filters, count in [
        (by(actions=("note.taken",)), 1),
        (by(actions=("note.taken", "run.started")), 2),
        (by(actors=("alice",)), 2),
        (by(actors=("bob",)), 0),
        (by(subject="1"), 1),
        (by(run=run), 1),
        (by.from_text({"until": "2020-01-01T00:00:00+00:00"}), 0),
        (by.from_text({"since": "2020-01-01T00:00:00+00:00", "run": str(run)}), 1),
    ]:
        assert len(selectors.entries(workspace, filters).entries) == count, filters
    assert len(selectors.entries(workspace, cursor="nonsense").entries) == 2


class _Counter:
    def __init__(self) -> None:
        self.statements = 0

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204
        self.statements += 1
        return execute(sql, params, many, context)


def _of(run: UUID) -> Draft:
    return Draft("run.started", ALICE, Subject("run", str(run)), run=run)


def _with_payload(value: object) -> Draft:
    return Draft("note.taken", ALICE, Subject("note", "1"), payloads={"p": value})


def _insert(leaf: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_entry (leaf) VALUES (%s)", [leaf])
