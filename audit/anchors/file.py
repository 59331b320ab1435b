"""Checkpoints as files in a directory, for a write-once mount or another administration.

Each checkpoint is a new file, made whole and never opened for writing again; where the
file system knows immutable files and the process may set the flag (Linux, root), it does.
"""

import array
import contextlib
import fcntl
import hashlib
import os
import secrets
from pathlib import Path

from audit.anchors.base import Submission
from audit.errors import AnchorRefused, AnchorUnavailable

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL = 0x10


class FileAnchor:
    """`<directory>/<origin>/<size>-<root>.checkpoint`."""

    kind = "file"

    def __init__(self, name: str, path: str, every_s: float = 0.0) -> None:
        self.name = name
        self.where = str(path)
        self.every_s = every_s
        self._directory = Path(path)

    def submit(self, submission: Submission) -> bytes:
        head = submission.note.head
        folder = self._directory / head.origin.replace("/", "_")
        target = folder / f"{head.size:012}-{head.root.hex()[:16]}.checkpoint"
        text = str(submission.note).encode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _equivocates(folder, target, head.size):
                raise AnchorRefused(f"{folder} holds another root for size {head.size}")
            if not target.exists():
                _write_once(target, text)
        except OSError as error:
            raise AnchorUnavailable(f"{target}: {error.strerror}") from error
        return f"{target.name} sha256:{hashlib.sha256(text).hexdigest()}\n".encode()


def _equivocates(folder: Path, target: Path, size: int) -> bool:
    return any(found != target for found in folder.glob(f"{size:012}-*.checkpoint"))


def _write_once(target: Path, text: bytes) -> None:
    draft = target.with_name(f".{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        os.write(handle, text)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(target)
    with contextlib.suppress(OSError):
        _make_immutable(target)


def _make_immutable(target: Path) -> None:
    handle = os.open(target, os.O_RDONLY)
    try:
        flags = array.array("L", [0])
        fcntl.ioctl(handle, FS_IOC_GETFLAGS, flags, True)
        flags[0] |= FS_IMMUTABLE_FL
        fcntl.ioctl(handle, FS_IOC_SETFLAGS, flags, True)
    finally:
        os.close(handle)
