"""Files that go into a jail and come out of it, as bounded streams over its channel.

What comes out is hostile: names, sizes and order are the guest's. Guarantees: a name is one plain
component of a path, whatever the guest called it, and there are no two of the same; no more files
and bytes are taken than the limits say, counted while they arrive; links and devices cannot leave,
because bytes leave and nothing else. What a file *is* is not looked at here.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agents.sandbox import protocol
from agents.sandbox.errors import ProtocolViolation
from agents.sandbox.protocol import JSON

MAX_FILES = 20
MAX_FILE_BYTES = 20 << 20
MAX_NAME_CHARS = 100
PIECE_BYTES = 384 * 1024

_NOT_NAME = re.compile(r"[^\w .,()+@=-]")


@dataclass(frozen=True)
class GivenFile:
    """A file that the program finds in ``in/``, read-only; the name is the host's own."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class LeftFile:
    """A file that is new or changed in ``out/`` at the end of a step."""

    name: str
    content: bytes = field(repr=False)
    sha256: str


def clean_name(name: str) -> str:
    """A name that is one plain component of a path and reads the same everywhere."""
    text = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    text = _NOT_NAME.sub("_", text).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if dot and len(suffix) <= 10:
        return f"{stem[: MAX_NAME_CHARS - 11]}.{suffix}"
    return text[:MAX_NAME_CHARS] or "file"


def frames(files: Sequence[GivenFile]) -> Iterator[dict[str, JSON]]:
    """The messages that put files into a jail."""
    for file in files:
        for start in range(0, max(len(file.content), 1), PIECE_BYTES):
            piece = file.content[start : start + PIECE_BYTES]
            more = start + PIECE_BYTES < len(file.content)
            data = base64.b64encode(piece).decode("ascii")
            yield {"file": clean_name(file.name), "data": data, "more": more}


@dataclass
class Taking:
    """Takes what a step left, message by message.

    Attributes:
        room: bytes that may still come.
    """

    room: int
    files: list[LeftFile] = field(default_factory=list)
    skipped: tuple[tuple[str, str], ...] = ()
    _name: str | None = None
    _content: bytearray = field(default_factory=bytearray)

    def limits(self) -> dict[str, int]:
        """What the guest is asked to keep to; an honest one does, and says what it left out."""
        return {"files": MAX_FILES, "file_bytes": MAX_FILE_BYTES, "bytes": self.room}

    def take(self, message: protocol.Message) -> bool:
        """Take one message; True: it was the last.

        Raises:
            ProtocolViolation: it is another message, or more than was asked for.
        """
        if isinstance(message, protocol.Taken) and self._name is None:
            self.skipped = message.skipped
            return True
        if not isinstance(message, protocol.Piece):
            raise ProtocolViolation("another message than a file")
        if self._name is not None and message.name != self._name:
            raise ProtocolViolation("a file within a file")
        self._name = message.name
        self._content += message.data
        self.room -= len(message.data)
        if self.room < 0 or len(self._content) > MAX_FILE_BYTES or len(self.files) >= MAX_FILES:
            raise ProtocolViolation("more files than were asked for")
        if not message.more:
            self._keep()
        return False

    def _keep(self) -> None:
        content, self._content = bytes(self._content), bytearray()
        name, self._name = self._free(clean_name(self._name or "")), None
        self.files.append(LeftFile(name, content, hashlib.sha256(content).hexdigest()))

    def _free(self, name: str) -> str:
        """The name, or one beside it where it is taken: cleaning may make two names one."""
        stem, dot, suffix = name.rpartition(".")
        taken = {file.name for file in self.files}
        number = 2
        free = name
        while free in taken:
            free = f"{stem}-{number}.{suffix}" if dot else f"{name}-{number}"
            number += 1
        return free
