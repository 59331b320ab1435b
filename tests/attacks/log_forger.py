"""Someone with the database server's superuser, and what he can make of a log.

Strength 1 edits rows. Strength 2 also recomputes every hash: links within runs, leaf
hashes, positions, batches, roots in checkpoints. Strength 3 also holds the log's signing
key, signs everything anew, and removes the heads kept beside the database.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit import heads, notes, signing
from audit.canonical import JSON, encode
from audit.keys import wrapper
from audit.merkle import Frontier, leaf_hash

GUARDED = (
    "audit_entry",
    "audit_position",
    "audit_tile",
    "audit_batch",
    "audit_checkpoint",
    "audit_receipt",
    "audit_payload",
)


@dataclass(frozen=True)
class Placed:
    """One entry at its place; number 0 is one that the forger makes."""

    number: int
    leaf: bytes

    @property
    def body(self) -> dict[str, JSON]:
        value: dict[str, JSON] = json.loads(self.leaf)
        return value

    def edited(self, **changes: JSON) -> "Placed":
        return replace(self, leaf=encode({**self.body, **changes}))


Edit = Callable[[list[Placed]], list[Placed]]


class Forger:
    """Works on one clone through a superuser's connection."""

    def __init__(self, admin: psycopg.Connection, workspace: UUID) -> None:
        self.admin = admin
        self.workspace = workspace
        # A superuser who means it: this is refused to every other role, and to a slip.
        self.admin.execute("SET countersign.migration = 'on'")
        for table in GUARDED:
            self.admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_refuse".encode())

    def entries(self) -> list[Placed]:
        rows = self.admin.execute(
            "SELECT e.number, e.leaf FROM audit_position p"
            " JOIN audit_entry e ON e.number = p.entry_number"
            " WHERE p.workspace_id = %s ORDER BY p.position",
            [self.workspace],
        )
        return [Placed(number, bytes(leaf)) for number, leaf in rows.fetchall()]

    def forge(self, edit: Edit, strength: int) -> None:
        """Apply an edit of the whole log at a strength."""
        before = self.entries()
        after = edit(list(before))
        if strength == 1:
            self._edit_rows(before, after)
            return
        self.rewrite(relinked(after), sign=strength == 3)

    def _edit_rows(self, before: Sequence[Placed], after: Sequence[Placed]) -> None:
        known = {placed.number: placed.leaf for placed in before}
        for number in known.keys() - {placed.number for placed in after}:
            self.admin.execute("DELETE FROM audit_entry WHERE number = %s", [number])
        order = []
        for placed in after:
            number = placed.number or self._insert(placed.leaf)
            if placed.number and known[placed.number] != placed.leaf:
                self.admin.execute(
                    "UPDATE audit_entry SET leaf = %s WHERE number = %s", [placed.leaf, number]
                )
            order.append(number)
        if len(after) < len(before):
            return
        # One position after another points to its new entry; the rest hang in the air.
        self.admin.execute(
            "UPDATE audit_position SET entry_number = -entry_number WHERE workspace_id = %s",
            [self.workspace],
        )
        for position, number in enumerate(order[: len(before)]):
            self.admin.execute(
                "UPDATE audit_position SET entry_number = %s"
                " WHERE workspace_id = %s AND position = %s",
                [number, self.workspace, position],
            )

    def rewrite(self, entries: Sequence[Placed], *, sign: bool) -> None:
        """Replace the whole tree by one over `entries`, checkpoints included."""
        for table in ("audit_position", "audit_batch", "audit_tile"):
            self._delete(table)
        self._delete("audit_entry")
        tree = Frontier()
        roots = {}
        for position, placed in enumerate(entries):
            number = self._insert(placed.leaf)
            digest = leaf_hash(placed.leaf)
            tree.append(digest)
            roots[tree.size] = tree.root()
            self.admin.execute(
                "INSERT INTO audit_position (workspace_id, position, entry_number, leaf_hash)"
                " VALUES (%s, %s, %s, %s)",
                [self.workspace, position, number, digest],
            )
        self.admin.execute(
            "INSERT INTO audit_batch VALUES (%s, %s, %s, now())",
            [self.workspace, tree.size, tree.root()],
        )
        self._recheckpoint(roots, tree.size, sign=sign)
        if sign:
            heads.path().unlink(missing_ok=True)

    def _recheckpoint(self, roots: dict[int, bytes], size: int, *, sign: bool) -> None:
        rows = self.admin.execute(
            "SELECT id, size, note FROM audit_checkpoint WHERE workspace_id = %s ORDER BY size",
            [self.workspace],
        ).fetchall()
        kept = [row for row in rows if row[1] <= size]
        for checkpoint_id, known, _ in rows:
            if known > size:
                self.admin.execute(
                    "DELETE FROM audit_receipt WHERE checkpoint_id = %s", [checkpoint_id]
                )
                self.admin.execute("DELETE FROM audit_checkpoint WHERE id = %s", [checkpoint_id])
        for index, (checkpoint_id, known, note) in enumerate(kept):
            # With the key, the last one may cover what was added behind it.
            grown = size if sign and index == len(kept) - 1 else known
            self.admin.execute(
                "UPDATE audit_checkpoint SET size = %s, root = %s, note = %s WHERE id = %s",
                [grown, roots[grown], self.note(note, grown, roots[grown], sign), checkpoint_id],
            )

    def note(self, old: str, size: int, root: bytes, sign: bool) -> str:
        note = notes.parse(old)
        head = notes.Head(note.head.origin, size, root)
        if sign:
            return str(notes.sign(head, head.origin, signing.signers()))
        return str(notes.Note(head, note.signatures))

    def reseal(self, name: str, content: bytes) -> None:
        """Seal other content under the true key and salt size, as the platform would."""
        row = self.admin.execute(
            "SELECT p.id, p.entry_id, k.id, k.wrapped FROM audit_payload p"
            " JOIN audit_subjectkey k ON k.id = p.key_id WHERE p.name = %s LIMIT 1",
            [name],
        ).fetchone()
        assert row is not None
        payload, entry, key, wrapped = row
        secret = wrapper().unwrap(bytes(wrapped), key.bytes)
        nonce = secrets.token_bytes(12)
        plain = secrets.token_bytes(32) + content
        sealed = nonce + AESGCM(secret).encrypt(nonce, plain, entry.bytes + name.encode())
        self.admin.execute("UPDATE audit_payload SET sealed = %s WHERE id = %s", [sealed, payload])

    def _insert(self, leaf: bytes) -> int:
        row = self.admin.execute(
            "INSERT INTO audit_entry (leaf) VALUES (%s) RETURNING number", [leaf]
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _delete(self, table: str) -> None:
        self.admin.execute(
            f"DELETE FROM {table} WHERE workspace_id = %s".encode(), [self.workspace]
        )


def relinked(entries: Sequence[Placed]) -> list[Placed]:
    """Return the entries with run numbers and links made good again."""
    runs: dict[str, tuple[int, str]] = {}
    made = []
    for placed in entries:
        try:
            body = placed.body
        except ValueError:
            made.append(placed)
            continue
        if "run" in body and encode(body) == placed.leaf:
            seq, last = runs.get(body["run"], (0, ""))
            body = {**body, "run_seq": seq + 1}
            body.pop("prev", None)
            if last:
                body["prev"] = last
            made.append(replace(placed, leaf=encode(body)))
        else:
            made.append(placed)
        if "run" in body:
            runs[body["run"]] = body["run_seq"], leaf_hash(made[-1].leaf).hex()
    return made
