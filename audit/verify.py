"""Verify the log where it lies, in the database.

This is the operator's own check: it finds what an accident, an administrator or a
restored backup did, and names the row. It cannot convince an outsider, since whoever
rules the database also rules this program; for him there are bundles and
`countersign_verify.py`.

Per tree, in one pass over positions joined to entries:
1. positions are dense from 0;
2. each position has its entry, whose bytes hash to what was placed;
3. the bytes are canonical and the search columns say what the leaf says;
4. each run's entries count from 1 without gap and each names the hash of the one before;
5. tiles and batch roots are those of the entries;
6. checkpoints are signed by our key and have the root of their size;
7. heads kept outside the database are of this tree: same root, not larger;
8. no committed entry waits for its place for more than a minute; if one does, whether that
   is because no sequencer is at work;
9. payloads are there, or their absence is accounted for; on request each is opened.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.db import connections

from audit import canonical, checkpoints, heads, notes, payloads, selectors, signing
from audit.canonical import JSON
from audit.errors import AuditError, CanonicalError
from audit.merkle import Frontier, leaf_hash
from audit.models import Checkpoint, Payload
from audit.transactions import PLATFORM, alias, in_workspace
from audit.tree import TILE_WIDTH, fold

if TYPE_CHECKING:
    from psycopg import ServerCursor

MAX_FINDINGS = 1000
"""After this many a tree's verification stops: the log is beyond detail."""
LATE_S = 60.0
"""Seconds after which a committed entry without a position is a finding."""
ROWS = 2000
MAX_RECENT = 200_000

Progress: TypeAlias = Callable[[int, int], None]
"""(entries checked, entries in all)"""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be, and where."""

    check: str
    sentence: str
    workspace_id: UUID
    position: int | None = None
    entry_id: UUID | None = None


@dataclass
class Report:
    """What verification of one tree found."""

    workspace_id: UUID
    size: int = 0
    root: bytes = b""
    entries: int = 0
    unplaced: int = 0
    payloads: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class Row:
    """A position and the entry that should be there."""

    position: int
    placed: bytes
    number: int | None
    entry_id: UUID | None
    leaf: bytes
    stored_hash: bytes
    workspace: UUID | None
    columns: tuple[Any, ...]


class _TooMany(Exception):
    pass


def trees() -> list[UUID]:
    """Return the workspaces that have a log, the platform's nil UUID included."""
    using = alias("reader")
    found = {head.workspace_id for head in checkpoints.tree_heads(using)} | set(heads.latest())
    with connections[using].cursor() as cursor:
        # Entries that nobody has placed yet: a loose index scan over few workspaces.
        cursor.execute(
            "WITH RECURSIVE w(id) AS ("
            " (SELECT workspace_id FROM audit_entry ORDER BY workspace_id LIMIT 1)"
            " UNION ALL SELECT (SELECT e.workspace_id FROM audit_entry e"
            "  WHERE e.workspace_id > w.id ORDER BY e.workspace_id LIMIT 1)"
            " FROM w WHERE w.id IS NOT NULL) SELECT id FROM w WHERE id IS NOT NULL"
        )
        found |= {row[0] for row in cursor.fetchall()}
    return sorted(found)


def verify_log(
    workspace_id: UUID | None,
    *,
    open_payloads: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Verify one tree and append its head to the file outside the database.

    Args:
        workspace_id: None is the platform's own log.
        open_payloads: Also decrypt every payload and hold it against its commitment.
        progress: Called every few thousand entries.
    """
    workspace = PLATFORM if workspace_id is None else workspace_id
    using = alias("reader")
    with in_workspace(workspace, using=using):
        report = _Verification(workspace, using, open_payloads, progress).run()
    if report.size:
        now = datetime.now(UTC)
        heads.append([heads.SavedHead(workspace, report.size, report.root, now)])
    return report


class _Verification:
    """One pass over one tree; holds what must be remembered between rows."""

    def __init__(
        self, workspace: UUID, using: str, open_payloads: bool, progress: Progress | None
    ) -> None:
        self._workspace = workspace
        self._using = using
        self._open_payloads = open_payloads
        self._progress = progress or (lambda done, total: None)
        self._report = Report(workspace)
        self._edge = Frontier()
        self._chains: dict[str, tuple[int, str]] = {}
        self._erased: set[str] = set()
        self._expired: datetime | None = None
        self._missing: dict[str, Row] = {}
        self._stored: dict[UUID, list[str]] = {}
        self._tile: list[bytes] = []
        self._recent: dict[UUID, datetime] = {}
        self._next = 0

    def run(self) -> Report:
        report = self._report
        try:
            self._placed()
            self._unplaced()
            self._account_for_payloads()
        except _TooMany:
            pass
        report.size, report.root = self._edge.size, self._edge.root()
        return report

    def _placed(self) -> None:
        total = self._count()
        expected = _Expected(self._roots())
        tiles = self._stream(
            "SELECT index, hashes, root FROM audit_tile"
            " WHERE workspace_id = %s AND level = 0 ORDER BY index",
            "tiles",
        )
        for row in self._rows():
            self._check_row(row)
            self._edge.append(row.placed)
            self._check_tile(row.placed, tiles)
            for what, root in expected.at(self._edge.size):
                if root != self._edge.root():
                    self._find("root", f"{what} has another root at size {self._edge.size}", row)
            if self._edge.size % ROWS == 0:
                self._progress(self._edge.size, total)
        for what, size in expected.rest():
            self._find("cut", f"{what} knows {size} entries, here are {self._edge.size}")
        self._progress(self._edge.size, total)

    def _check_row(self, row: Row) -> None:
        if row.position != self._next:
            self._find("order", f"position {self._next} is missing", row)
        self._next = row.position + 1
        if row.entry_id is None:
            self._find("deleted", "the entry at this position is gone", row)
            return
        self._report.entries += 1
        if leaf_hash(row.leaf) != row.placed:
            self._find("edited", "the entry's bytes are not those that were placed", row)
        self._check_leaf(row)

    def _check_leaf(self, row: Row) -> None:
        if row.stored_hash != leaf_hash(row.leaf):
            self._find("columns", "the hash column is not that of the leaf", row)
        try:
            leaf = canonical.decode(row.leaf)
            wanted = _columns(leaf)
        except (CanonicalError, KeyError, TypeError, ValueError) as error:
            self._find("form", f"the leaf is malformed: {error}", row)
            return
        if wanted != (row.entry_id, self._workspace, *row.columns) or row.workspace != wanted[1]:
            self._find("columns", "search columns say something else than the leaf", row)
        self._check_once(row)
        if "run" in leaf:
            self._check_chain(leaf, row)
        self._note_erasures(leaf)
        self._check_payloads(leaf, row)

    def _note_erasures(self, leaf: JSON) -> None:
        detail = leaf.get("detail", {})
        if leaf["action"] == "subject.erased":
            self._erased |= set(detail.get("keys", []))
        elif leaf["action"] == "payloads.expired":
            before = datetime.fromisoformat(detail["before"])
            self._expired = max(before, self._expired or before)

    def _check_once(self, row: Row) -> None:
        """No entry twice: an id holds its time, so repeats come close together."""
        if row.entry_id in self._recent:
            self._find("twice", "the entry is there a second time", row)
        if row.entry_id is not None:
            self._recent[row.entry_id] = row.columns[0]
        if len(self._recent) > MAX_RECENT:
            edge = row.columns[0] - timedelta(minutes=10)
            self._recent = {key: time for key, time in self._recent.items() if time >= edge}

    def _check_chain(self, leaf: JSON, row: Row) -> None:
        seq, last = self._chains.get(leaf["run"], (0, ""))
        if leaf["run_seq"] != seq + 1 or leaf.get("prev", "") != last:
            self._find("run", f"entry {leaf['run_seq']} of run {leaf['run']} does not follow", row)
        self._chains[leaf["run"]] = leaf["run_seq"], leaf_hash(row.leaf).hex()

    def _check_payloads(self, leaf: JSON, row: Row) -> None:
        wanted = dict(leaf.get("payloads", {}))
        if row.entry_id is None:
            return
        for name in self._stored.get(row.entry_id, []):
            commitment = wanted.pop(name, None)
            self._report.payloads += 1
            if commitment is None:
                self._find("payload", f"no commitment covers the payload {name}", row)
            elif self._open_payloads:
                self._open(row.entry_id, name, commitment, row)
        for commitment in wanted.values():
            # Entries come in time's order, so the last one kept per key is the newest.
            self._missing[commitment["key"]] = row

    def _open(self, entry_id: UUID, name: str, commitment: JSON, row: Row) -> None:
        payload = Payload.objects.using(self._using).get(entry_id=entry_id, name=name)
        try:
            payloads.open_payload(payload, commitment)
        except AuditError as error:
            self._find("payload", str(error), row)

    def _account_for_payloads(self) -> None:
        for key, row in self._missing.items():
            expired = self._expired is not None and row.columns[0] < self._expired
            if key not in self._erased and not expired:
                self._find("payload", f"a payload under key {key} is gone without a record", row)

    def _check_tile(self, placed: bytes, tiles: Iterator[tuple[Any, ...]]) -> None:
        self._tile.append(placed)
        if len(self._tile) < TILE_WIDTH:
            return
        tile = next(tiles, None)
        index = self._edge.size // TILE_WIDTH - 1
        wanted = (index, b"".join(self._tile), fold(self._tile))
        if tile is None or (tile[0], bytes(tile[1]), bytes(tile[2])) != wanted:
            self._find("tile", f"tile {index} is not that of the entries")
        self._tile = []

    def _unplaced(self) -> None:
        rows = self._stream(
            "SELECT NULL::bigint, e.leaf_hash, e.number, e.id, e.leaf, e.leaf_hash,"
            " e.workspace_id, e.time, e.action, e.actor_type, e.actor_id, e.actor_name,"
            " e.subject_type, e.subject_id, e.subject_version, e.run_id, e.run_seq"
            " FROM audit_entry e WHERE e.workspace_id = %s"
            " AND NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.entry_number = e.number)"
            " ORDER BY e.number",
            "unplaced",
        )
        before = datetime.now(UTC) - timedelta(seconds=LATE_S)
        count, oldest = 0, None
        for row in self._with_payloads(map(_row, rows)):
            self._report.unplaced += 1
            self._check_leaf(row)
            if row.columns[0] < before:
                count += 1
                oldest = oldest or row
        if oldest is not None:
            self._late(count, oldest)

    def _late(self, count: int, oldest: Row) -> None:
        age = (datetime.now(UTC) - oldest.columns[0]).total_seconds()
        why = (
            "although a sequencer is at work: it does not see them"
            if selectors.sequencing()
            else "no sequencer is at work: start it with manage.py audit_sequencer"
        )
        entries = "1 entry waits" if count == 1 else f"{count} entries wait"
        self._find("unplaced", f"{entries} for a place, the oldest for {age:.0f} s; {why}", oldest)

    def _roots(self) -> list[tuple[int, bytes, str]]:
        """Return the roots that others have seen: checkpoints and saved heads."""
        keys = signing.verifier_keys(self._workspace)
        found = []
        for checkpoint in Checkpoint.objects.using(self._using).filter(
            workspace_id=self._workspace
        ):
            found.append((checkpoint.size, self._signed_root(checkpoint, keys), "a checkpoint"))
        for head in heads.read(all_lines=True):
            if head.workspace_id == self._workspace:
                found.append((head.size, head.root, str(heads.path())))
        rows = self._query("SELECT size, root FROM audit_batch WHERE workspace_id = %s")
        found += [(size, bytes(root), "a batch") for size, root in rows]
        return found

    def _signed_root(self, checkpoint: Checkpoint, keys: list[notes.VerifierKey]) -> bytes:
        try:
            note = notes.parse(checkpoint.note)
        except notes.NoteError as error:
            self._find("checkpoint", f"checkpoint {checkpoint.size} is malformed: {error}")
            return bytes(checkpoint.root)
        if not any(notes.signed_by(note, key) for key in keys) and not self._rotated(note):
            self._find("checkpoint", f"no key of ours signed checkpoint {checkpoint.size}")
        if note.head.size != checkpoint.size or note.head.root != bytes(checkpoint.root):
            self._find("checkpoint", f"checkpoint {checkpoint.size} says something else inside")
        return note.head.root

    def _rotated(self, note: notes.Note) -> bool:
        """Tell whether a key that a `key.rotated` entry retired signed the note."""
        rows = self._query(
            "SELECT leaf FROM audit_entry WHERE workspace_id = %s AND action = 'key.rotated'"
        )
        old = [canonical.decode(bytes(row[0])).get("detail", {}).get("old", "") for row in rows]
        return any(notes.signed_by(note, notes.VerifierKey.parse(text)) for text in old if text)

    def _rows(self) -> Iterator[Row]:
        rows = self._stream(
            "SELECT p.position, p.leaf_hash, p.entry_number, e.id, e.leaf, e.leaf_hash,"
            " e.workspace_id, e.time, e.action, e.actor_type, e.actor_id, e.actor_name,"
            " e.subject_type, e.subject_id, e.subject_version, e.run_id, e.run_seq"
            " FROM audit_position p LEFT JOIN audit_entry e ON e.number = p.entry_number"
            " WHERE p.workspace_id = %s ORDER BY p.position",
            "rows",
        )
        return self._with_payloads(map(_row, rows))

    def _with_payloads(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Look up which payloads are stored, for many rows at a time."""
        while chunk := list(islice(rows, ROWS)):
            found = self._query(
                "SELECT entry_id, name FROM audit_payload WHERE workspace_id = %s"
                " AND entry_id = ANY(%s)",
                [row.entry_id for row in chunk if row.entry_id],
            )
            self._stored = {}
            for entry_id, name in found:
                self._stored.setdefault(entry_id, []).append(name)
            yield from chunk

    def _count(self) -> int:
        rows = self._query(
            "SELECT coalesce(max(position) + 1, 0) FROM audit_position WHERE workspace_id = %s"
        )
        return int(rows[0][0])

    def _query(self, sql: str, *parameters: list[UUID]) -> list[tuple[Any, ...]]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, [self._workspace, *parameters])
            return list(cursor.fetchall())

    def _stream(self, sql: str, name: str) -> Iterator[tuple[Any, ...]]:
        """Read with a server-side cursor: a log does not fit into memory."""
        cursor: ServerCursor[Any] = connections[self._using].connection.cursor(f"audit_{name}")
        with cursor:
            cursor.itersize = ROWS
            cursor.execute(sql, [self._workspace])
            yield from cursor

    def _find(self, check: str, sentence: str, row: Row | None = None) -> None:
        position = row.position if row else None
        entry_id = row.entry_id if row else None
        found = self._report.findings
        found.append(Finding(check, sentence, self._workspace, position, entry_id))
        if len(found) >= MAX_FINDINGS:
            raise _TooMany


class _Expected:
    """Roots by size, handed out as the tree grows."""

    def __init__(self, roots: Iterable[tuple[int, bytes, str]]) -> None:
        self._by_size: dict[int, set[tuple[str, bytes]]] = {}
        for size, root, what in roots:
            self._by_size.setdefault(size, set()).add((what, root))

    def at(self, size: int) -> set[tuple[str, bytes]]:
        return self._by_size.pop(size, set())

    def rest(self) -> list[tuple[str, int]]:
        """Return what is left: heads of a tree larger than the one that was read."""
        return [(what, size) for size, found in sorted(self._by_size.items()) for what, _ in found]


def _row(values: tuple[Any, ...]) -> Row:
    position, placed, number, entry_id, leaf, stored, workspace, *columns = values
    return Row(
        position,
        bytes(placed),
        number,
        entry_id,
        bytes(leaf or b""),
        bytes(stored or b""),
        workspace,
        tuple(columns),
    )


def _columns(leaf: JSON) -> tuple[Any, ...]:
    """Return what the fill trigger makes of a leaf."""
    return (
        UUID(leaf["id"]),
        UUID(leaf["workspace"]),
        datetime.fromisoformat(leaf["time"]),
        leaf["action"],
        leaf["actor"]["type"],
        leaf["actor"]["id"],
        leaf["actor"]["name"],
        leaf["subject"]["type"],
        leaf["subject"]["id"],
        leaf["subject"].get("version", ""),
        UUID(leaf["run"]) if "run" in leaf else None,
        leaf.get("run_seq"),
    )
