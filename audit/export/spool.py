"""The files of a bundle in the making: appended to, measured, resumable.

A worker may die at any moment. Every `save` makes what was written so far durable and
notes how far that is; `Spool` of the same directory then cuts off what came after and
goes on from there.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from audit.canonical import JSON

STATE = "state.json"
CHUNK = 1 << 20


class Spool:
    """Member files by name in a directory, and what the maker wants to remember."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}
        self._left_out: set[str] = set()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = directory / STATE
        found = json.loads(state.read_text()) if state.exists() else {}
        self.memory: dict[str, JSON] = found.get("memory", {})
        self._lengths: dict[str, int] = found.get("lengths", {})

    def append(self, name: str, data: bytes) -> None:
        self._file(name).write(data)

    def replace(self, name: str, data: bytes) -> None:
        """Write a small member at once."""
        file = self._file(name)
        file.seek(0)
        file.truncate()
        file.write(data)

    def take(self, name: str) -> bytes:
        """Return a member's content and leave it out of the bundle.

        The file stays until the spool goes: whoever takes the work up again needs it too.
        """
        file = self._file(name)
        file.flush()
        self._left_out.add(name)
        return (self._directory / name).read_bytes()

    def save(self, memory: Mapping[str, JSON]) -> None:
        """Make everything durable, then note it."""
        for name, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            self._lengths[name] = file.tell()
        self.memory = dict(memory)
        draft = self._directory / f".{STATE}"
        draft.write_text(json.dumps({"memory": self.memory, "lengths": self._lengths}))
        draft.replace(self._directory / STATE)

    def measures(self) -> dict[str, tuple[int, str]]:
        """Return size and SHA-256 of each member."""
        return {name: _measure(path) for name, path in self._members().items()}

    def pack(self, target: Path) -> str:
        """Write the ZIP file whole or not at all; return its SHA-256."""
        self.close()
        draft = target.with_name(f".{target.name}")
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, path in self._members().items():
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as out:
                    shutil.copyfileobj(source, out, CHUNK)
        draft.chmod(0o600)
        draft.replace(target)
        return _measure(target)[1]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            path = self._directory / name
            path.touch(mode=0o600)
            file = path.open("r+b")
            file.truncate(self._lengths.get(name, 0))
            file.seek(0, os.SEEK_END)
            self._files[name] = file
        return self._files[name]

    def _members(self) -> dict[str, Path]:
        for file in self._files.values():
            file.flush()
        found = {p.name: p for p in sorted(self._directory.iterdir()) if STATE not in p.name}
        return {name: path for name, path in found.items() if name not in self._left_out}


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return path.stat().st_size, digest.hexdigest()
