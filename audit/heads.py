"""Heads kept outside the database: one line per tree, minute and verification.

The file is the first, weakest anchor: it lies on the same machine, but a database
administrator, a restored backup or a stray DELETE does not reach it. A database whose
tree is shorter than the last line, or has another root at that size, has lost or changed
entries. Where the file system can, the file is made append-only (`chattr +a`, see
deploy/docs/log-format.md).
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings

FILE = "audit-heads.jsonl"
_TAIL = 1 << 20


@dataclass(frozen=True)
class SavedHead:
    """A tree's size and root (32 raw bytes) as they were at `time`."""

    workspace_id: UUID
    size: int
    root: bytes
    time: datetime


def path() -> Path:
    """Return the file: `COUNTERSIGN_AUDIT_HEADS`, better on another mount, or in the home."""
    configured = getattr(settings, "COUNTERSIGN_AUDIT_HEADS", "")
    return Path(configured) if configured else Path(settings.COUNTERSIGN_HOME) / FILE


def append(heads: Iterable[SavedHead]) -> None:
    """Append lines durably; one write call, so that a line is whole or absent."""
    lines = "".join(
        json.dumps(
            {
                "time": head.time.astimezone(UTC).isoformat(),
                "workspace": str(head.workspace_id),
                "size": head.size,
                "root": head.root.hex(),
            }
        )
        + "\n"
        for head in heads
    )
    if not lines:
        return
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, lines.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(*, all_lines: bool = False) -> list[SavedHead]:
    """Return the saved heads, oldest first: the last megabyte, or all of them.

    A line that cannot be read (a torn write) is left out.
    """
    try:
        with path().open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0 if all_lines else max(0, size - _TAIL))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    return [head for head in map(_parse, lines) if head is not None]


def latest() -> Mapping[UUID, SavedHead]:
    """Return the largest head that was ever saved for each tree."""
    found: dict[UUID, SavedHead] = {}
    for head in read(all_lines=True):
        present = found.get(head.workspace_id)
        if present is None or head.size > present.size:
            found[head.workspace_id] = head
    return found


def _parse(line: bytes) -> SavedHead | None:
    try:
        value = json.loads(line)
        return SavedHead(
            UUID(value["workspace"]),
            int(value["size"]),
            bytes.fromhex(value["root"]),
            datetime.fromisoformat(value["time"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
