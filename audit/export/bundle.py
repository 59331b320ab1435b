"""Make a bundle: entries, payloads, proofs, checkpoints, and the means to check them.

Format: deploy/docs/log-format.md §6. The pass over the entries streams, in constant
memory, and may be broken off at any point and taken up again. The bundle is bound to one
checkpoint, chosen at the start; the manifest that lists the files is signed with the
log's key (DSSE over an in-toto statement).

Steps: (1) choose the checkpoint and the range; (2) stream the entries; (3) proofs,
checkpoints, related entries; (4) the report; (5) the manifest; (6) pack.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.db import connections

from audit import notes, payloads, signing
from audit.canonical import JSON, encode
from audit.errors import ExportFailed, PayloadDamaged
from audit.export import tables
from audit.export.scope import Kind, Scope, select
from audit.export.spool import Spool
from audit.merkle import consistency_path, frontier, inclusion_path, leaf_hash
from audit.models import Checkpoint, Payload, Receipt
from audit.transactions import alias, in_workspace
from audit.tree import StoredTree
from audit.verifier import countersign_verify

if TYPE_CHECKING:
    from psycopg import ServerCursor

ROWS = 2000
MAX_CHECKPOINTS = 2000
"""Earlier checkpoints in a bundle; the newest of those that an anchor took."""
ACCOUNTS = ("subject.erased", "payloads.expired", "key.rotated")
"""Entries that explain others, shown wherever they lie in the tree."""

Progress: TypeAlias = Callable[[int, int], None]

README = """An audit bundle of Countersign.

Check it on any machine with Python 3.11 and the package `cryptography`:

    python3 countersign_verify.py BUNDLE.zip --key '<the log key you were given>'

Take the key, and better the verifier too, from another hand than this bundle's: a program
and a key that come with the evidence prove nothing. Give earlier checkpoints you kept with
--seen, witnesses and their quorum with --policy, time-stamping certificates with --tsa.
The format is specified in log-format.md; entries.csv and report.html are for reading and
are derived from entries.jsonl, which is what is checked.
"""


@dataclass(frozen=True)
class Made:
    """A finished bundle."""

    sha256: str
    size: int
    first: int
    end: int
    shown: int


def make(
    workspace_id: UUID,
    scope: Scope,
    *,
    with_payloads: bool,
    spool: Spool,
    target: Path,
    progress: Progress,
) -> Made:
    """Make a bundle at `target`, going on from what `spool` holds.

    Raises:
        ExportFailed: The scope is empty or nothing is signed yet (nothing is left behind
            but the spool).
    """
    maker = _Maker(workspace_id, scope, with_payloads, spool, progress)
    with in_workspace(workspace_id, using=maker.using):
        maker.begin()
        maker.stream()
        maker.prove()
        maker.explain()
    maker.seal()
    sha256 = spool.pack(target)
    selection = maker.selection
    return Made(sha256, maker.size, selection.first, selection.end, maker.report.shown)


class _Maker:
    def __init__(
        self, workspace_id: UUID, scope: Scope, with_payloads: bool, spool: Spool, tell: Progress
    ) -> None:
        self.using = alias("reader")
        self.workspace_id = workspace_id
        self.scope = scope
        self.with_payloads = with_payloads
        self.spool = spool
        self.tell = tell
        self.tree = StoredTree(connections[self.using], workspace_id)
        self.report = tables.Report(spool.memory.get("report"))
        self._erased_keys: set[str] | None = None

    # (1) checkpoint and range
    def begin(self) -> None:
        checkpoint = self._checkpoint()
        self.size = checkpoint.size
        self.note = _with_cosignatures(checkpoint, self.using)
        self.selection = select(self.scope, self.workspace_id, self.size, self.using)
        self.next = int(self.spool.memory.get("next", self.selection.first))
        if self.next == self.selection.first:
            head = tables.BYTE_ORDER_MARK + tables.csv_line(tables.CSV_HEADER)
            self.spool.append("entries.csv", head)
            for name in ("entries.jsonl", "payloads.jsonl", "rows.html"):
                self.spool.append(name, b"")

    def _checkpoint(self) -> Checkpoint:
        rows = Checkpoint.objects.using(self.using).filter(workspace_id=self.workspace_id)
        chosen = self.spool.memory.get("checkpoint")
        rows = rows.filter(id=chosen) if chosen else rows.order_by("-size", "-signed_at")
        checkpoint = rows.first()
        if checkpoint is None:
            raise ExportFailed("no checkpoint is signed yet; the sequencer must run first")
        self.checkpoint_id = checkpoint.id
        return checkpoint

    # (2) the entries, in one pass
    def stream(self) -> None:
        total = self.selection.end - self.selection.first
        rows = self._rows()
        while chunk := list(islice(rows, ROWS)):
            sealed = self._payloads([row[2] for row in chunk if row[2] is not None])
            for position, number, entry_id, leaf in chunk:
                found = sealed.get(entry_id, {}) if entry_id else {}
                self._row(position, number, leaf, found)
            self.next = chunk[-1][0] + 1
            self.spool.save(
                {
                    "checkpoint": str(self.checkpoint_id),
                    "next": self.next,
                    "report": self.report.memory(),
                }
            )
            self.tell(self.next - self.selection.first, total)

    def _rows(self) -> Iterator[tuple[int, int, UUID | None, bytes]]:
        cursor: ServerCursor[Any] = connections[self.using].connection.cursor("audit_export")
        with cursor:
            cursor.itersize = ROWS
            cursor.execute(
                "SELECT p.position, p.entry_number, e.id, e.leaf FROM audit_position p"
                " LEFT JOIN audit_entry e ON e.number = p.entry_number"
                " WHERE p.workspace_id = %s AND p.position >= %s AND p.position < %s"
                " ORDER BY p.position",
                [self.workspace_id, self.next, self.selection.end],
            )
            yield from cursor

    def _row(
        self, position: int, number: int, leaf: bytes | None, sealed: Mapping[str, Payload]
    ) -> None:
        if leaf is None:
            raise ExportFailed(f"the entry at position {position} is gone; run audit_verify")
        digest = leaf_hash(leaf)
        if not self._shows(position, number):
            self.spool.append("entries.jsonl", f'"{digest.hex()}"\n'.encode())
            return
        body = json.loads(leaf)
        self.spool.append("entries.jsonl", leaf + b"\n")
        self.spool.append("entries.csv", tables.csv_line(tables.csv_cells(position, body, digest)))
        self.spool.append("rows.html", self.report.row(position, body))
        for name, commitment in sorted(body.get("payloads", {}).items()):
            line = {"i": position, "name": name, **self._disclose(sealed.get(name), commitment)}
            self.spool.append("payloads.jsonl", encode(line) + b"\n")

    def _shows(self, position: int, number: int) -> bool:
        chosen = self.selection
        within = chosen.first <= position < chosen.end
        return within and (chosen.numbers is None or number in chosen.numbers)

    def _payloads(self, entry_ids: list[UUID]) -> dict[UUID, dict[str, Payload]]:
        rows = Payload.objects.using(self.using).filter(entry_id__in=entry_ids)
        if not self.with_payloads:
            rows = rows.defer("sealed")
        found: dict[UUID, dict[str, Payload]] = {}
        keys = set()
        for row in rows:
            found.setdefault(row.entry_id, {})[row.name] = row
            keys.add(row.key_id)
        self._secrets = payloads.secrets_of(keys) if self.with_payloads else {}
        return found

    def _disclose(self, payload: Payload | None, commitment: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return what the bundle says of one payload."""
        if payload is None:
            # Erasure is recorded by key; what is gone without it has expired.
            return {"state": "erased" if commitment["key"] in self._erased() else "expired"}
        if not self.with_payloads:
            return {"state": "withheld"}
        try:
            opened = payloads.open_sealed(payload, commitment, self._secrets[payload.key_id])
        except (PayloadDamaged, KeyError):
            return {"state": "damaged"}
        return {
            "salt": base64.b64encode(opened.salt).decode(),
            "data": base64.b64encode(opened.data).decode(),
        }

    def _erased(self) -> set[str]:
        if self._erased_keys is None:
            leaves = [json.loads(leaf) for *_, leaf in self._leaves(("subject.erased",))]
            self._erased_keys = {key for leaf in leaves for key in leaf["detail"]["keys"]}
        return self._erased_keys

    def _leaves(self, actions: tuple[str, ...]) -> list[tuple[int, int, bytes]]:
        """Return position, number and leaf of the tree's entries of these actions."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(
                "SELECT p.position, e.number, e.leaf FROM audit_entry e"
                " JOIN audit_position p ON p.entry_number = e.number"
                " WHERE e.workspace_id = %s AND e.action = ANY(%s) AND p.position < %s"
                " ORDER BY p.position",
                [self.workspace_id, list(actions), self.size],
            )
            return [(row[0], row[1], bytes(row[2])) for row in cursor.fetchall()]

    # (3) proofs and checkpoints
    def prove(self) -> None:
        first, end = self.selection.first, self.selection.end
        sizes = set(self.scope.sizes)
        lines = []
        for checkpoint in self._anchored():
            note = _with_cosignatures(checkpoint, self.using)
            stamps = Receipt.objects.using(self.using).filter(checkpoint=checkpoint, kind="rfc3161")
            tokens = [base64.b64encode(bytes(stamp.body)).decode() for stamp in stamps]
            lines.append(encode({"note": str(note), "timestamps": tokens}) + b"\n")
            sizes.add(checkpoint.size)
        self.spool.replace("checkpoints.jsonl", b"".join(lines))
        outside = [size for size in sizes if not first <= size <= end and 0 < size <= self.size]
        proofs = {
            "left": [peak.hex() for peak in frontier(first, self.tree.nodes).peaks],
            "right": self._path(end),
            "consistency": {str(size): self._path(size) for size in sorted(outside)},
        }
        self.spool.replace("proofs.json", encode(proofs) + b"\n")
        self.spool.replace("checkpoint", str(self.note).encode())

    def _path(self, old: int) -> list[str]:
        return [node.hex() for node in consistency_path(old, self.size, self.tree.nodes)]

    def _anchored(self) -> list[Checkpoint]:
        """Return the checkpoints that an anchor took, oldest first, this one included."""
        rows = (
            Checkpoint.objects.using(self.using)
            .filter(workspace_id=self.workspace_id, size__lte=self.size)
            .exclude(receipt=None)
            .distinct()
            .order_by("-size", "-signed_at")
        )
        return list(rows[:MAX_CHECKPOINTS])[::-1]

    # (3) related entries
    def explain(self) -> None:
        """Entries outside the range that account for what is in it, each with its proof."""
        lines = []
        for position, number, leaf in self._leaves(ACCOUNTS):
            if self._shows(position, number):
                continue
            path = inclusion_path(position, self.size, self.tree.nodes)
            item = {"i": position, "leaf": leaf.decode(), "path": [node.hex() for node in path]}
            lines.append(encode(item) + b"\n")
        self.spool.replace("related.jsonl", b"".join(lines))
        keys = {"log": [str(key) for key in signing.verifier_keys(self.workspace_id)]}
        self.spool.replace("keys.json", encode(keys) + b"\n")

    # (4) report and (5) manifest
    def seal(self) -> None:
        self.spool.replace("README.txt", README.encode())
        verifier = Path(countersign_verify.__file__).read_bytes()
        self.spool.replace("countersign_verify.py", verifier)
        self._write_report()
        measures = self.spool.measures()
        predicate = {
            "workspace": str(self.workspace_id),
            "origin": self.note.head.origin,
            "size": self.size,
            "root": self.note.head.root.hex(),
            "first": self.selection.first,
            "end": self.selection.end,
            "scope": self.scope.to_json(),
            "payloads": self.with_payloads,
            "sizes": {name: size for name, (size, _) in measures.items()},
        }
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": name, "digest": {"sha256": digest}}
                for name, (_, digest) in measures.items()
            ],
            "predicateType": countersign_verify.PREDICATE,
            "predicate": predicate,
        }
        self.spool.replace("manifest.json", envelope(encode(statement), self.workspace_id))

    def _write_report(self) -> None:
        rows = self.spool.take("rows.html")
        selection = self.selection
        whole = f"0 to {self.size - 1}"
        facts = {
            "Log": self.note.head.origin,
            "Checkpoint": f"{self.size} entries, root {self.note.head.root.hex()}",
            "What was asked for": _asked(self.scope),
            "Positions": f"{selection.first} to {selection.end - 1} of {whole}",
            "Entries shown": str(self.report.shown),
            "From": self.report.first_time,
            "To": self.report.last_time,
            "Payloads": "in payloads.jsonl" if self.with_payloads else "not in this bundle",
        }
        self.spool.replace("report.html", self.report.page(facts, rows, self._statement()))

    def _statement(self) -> str:
        hidden = self.selection.end - self.selection.first - self.report.shown
        if not hidden:
            return f"{_NO_EVIDENCE} Every entry of the positions below is in entries.jsonl."
        return (
            f"{_NO_EVIDENCE}"
            f" {hidden} entries of the range are present as hashes only. This proves that the"
            " entries shown are in the log, and how long the range is; it does not prove that"
            " nothing else in the range matched."
        )


_NO_EVIDENCE = (
    "This page is for reading. It was written by whoever exported the bundle, and the verifier"
    " does not check what it says: entries.jsonl is the evidence, and countersign_verify.py with"
    " a key from another hand tells whether it is genuine."
)


def _asked(scope: Scope) -> str:
    """What an export covers, in words."""
    filters = ", ".join(f"{name} {value}" for name, value in (scope.filters or {}).items())
    match scope.kind:
        case Kind.WORKSPACE:
            return "the whole log"
        case Kind.RUN:
            return f"the run {scope.run}, and what was said of its approvals"
        case Kind.SEARCH:
            return f"a search: {filters}"
        case _:
            return f"every entry of a range: {filters or 'of positions'}"


def envelope(payload: bytes, workspace_id: UUID) -> bytes:
    """Return a DSSE envelope over an in-toto statement, signed by the log's keys."""
    kind = countersign_verify.PAYLOAD_TYPE
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    origin = signing.origin(workspace_id)
    signatures = [
        {
            "keyid": notes.VerifierKey(origin, notes.LOG, signer.public).id.hex(),
            "sig": base64.b64encode(signer.sign(message)).decode(),
        }
        for signer in signing.signers()
    ]
    return encode(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": signatures,
        }
    )


def _with_cosignatures(checkpoint: Checkpoint, using: str) -> notes.Note:
    note = notes.parse(checkpoint.note)
    rows = Receipt.objects.using(using).filter(checkpoint=checkpoint, kind="witness")
    for row in rows.order_by("anchor"):
        note = note.with_signatures(notes.parse_signatures(bytes(row.body).decode()))
    return note
