"""A small C2SP witness, for an auditor to run and for the tests.

    python -m audit.anchors.witness_server --state DIR --name witness.example/w1 \
        --log VKEY [--log VKEY …] [--listen 127.0.0.1:7380]

Guarantees: it never cosigns two checkpoints of one log of which one is not an append of
the other, restarts included: the new size and root are on disk before the answer leaves,
and a lost state directory stops it instead of starting it afresh (`--init` makes one).
It uses its own clock. It needs this package and `cryptography`, no Django.

Order of checks: known origin (404), signature (403), sizes (400, 409), consistency (422).
"""

import argparse
import base64
import binascii
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from audit import merkle, notes

MAX_REQUEST = 1 << 16
MAX_PROOF = 63


@dataclass(frozen=True)
class Reply:
    status: int
    body: str
    media: str = "text/plain"


@dataclass(frozen=True)
class Request:
    """What a log sends: the size it thinks we know, the path from it, the checkpoint."""

    old: int
    path: tuple[bytes, ...]
    note: notes.Note


class Witness:
    """The rules and the memory of a witness; one per state directory and process."""

    def __init__(self, state: Path, name: str, logs: Sequence[notes.VerifierKey]) -> None:
        self.name = name
        self._state = state
        self._signer = notes.LocalSigner((state / "witness.key").read_bytes())
        self._logs: Mapping[str, list[notes.VerifierKey]] = {
            key.name: [other for other in logs if other.name == key.name] for key in logs
        }
        self._lock = threading.Lock()

    @property
    def key(self) -> notes.VerifierKey:
        return notes.VerifierKey(self.name, notes.WITNESS, self._signer.public)

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one request; the check and the record of it are one step."""
        try:
            request = parse_request(body)
        except notes.NoteError as error:
            return Reply(400, f"{error}\n")
        keys = self._logs.get(request.note.head.origin)
        if keys is None:
            return Reply(404, "unknown log\n")
        if not any(notes.signed_by(request.note, key) for key in keys):
            return Reply(403, "no signature of a key I know\n")
        if request.old > request.note.head.size:
            return Reply(400, "the old size is larger than the new one\n")
        with self._lock:
            return self._cosign(request)

    def _cosign(self, request: Request) -> Reply:
        head = request.note.head
        seen, root = self._seen(head.origin)
        if request.old != seen or (seen == head.size and seen and root != head.root):
            return Reply(409, f"{seen}\n", "text/x.tlog.size")
        known = root if seen else merkle.EMPTY_ROOT
        if not merkle.verify_consistency(seen, head.size, known, head.root, request.path):
            return Reply(422, "the tree is not an append of the one I signed\n")
        self._remember(head)
        return Reply(200, str(notes.cosign(head, self.name, self._signer, int(time.time()))))

    def _seen(self, origin: str) -> tuple[int, bytes]:
        try:
            found = json.loads(self._file(origin).read_text())
        except FileNotFoundError:
            return 0, b""
        return int(found["size"]), bytes.fromhex(found["root"])

    def _remember(self, head: notes.Head) -> None:
        target = self._file(head.origin)
        draft = target.with_name(f".{secrets.token_hex(8)}")
        with draft.open("w") as file:
            json.dump({"origin": head.origin, "size": head.size, "root": head.root.hex()}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        directory = os.open(self._state, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _file(self, origin: str) -> Path:
        return self._state / f"{base64.urlsafe_b64encode(origin.encode()).decode()}.json"


def init(state: Path) -> None:
    """Make the state directory with a new key; refuses one that exists."""
    state.mkdir(mode=0o700, parents=True)
    key = state / "witness.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(32))


def parse_request(body: bytes) -> Request:
    """Read an add-checkpoint request.

    Raises:
        NoteError: Not of the specified form.
    """
    try:
        header, separator, note = body.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise notes.NoteError("not UTF-8") from error
    first, *lines = header.split("\n")
    size = first.removeprefix("old ")
    if not separator or first == size or not size.isdecimal() or str(int(size)) != size:
        raise notes.NoteError("the first line is `old <size>`")
    if len(lines) > MAX_PROOF:
        raise notes.NoteError("the proof is too long")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (binascii.Error, ValueError) as error:
        raise notes.NoteError("a proof line is not base64") from error
    return Request(int(size), path, notes.parse(note))


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Return an HTTP server for the witness; the caller runs and closes it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint" or not length.isdecimal():
                self._send(Reply(404, "POST /add-checkpoint\n"))
            elif int(length) > MAX_REQUEST:
                self.close_connection = True
                self._send(Reply(413, "too large\n"))
            else:
                self._send(witness.add_checkpoint(self.rfile.read(int(length))))

        def _send(self, reply: Reply) -> None:
            body = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            sys.stderr.write(f"{format % args}\n")

    return ThreadingHTTPServer((host, port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description="A C2SP transparency-log witness")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--log", action="append", default=[], help="verifier key of a log")
    parser.add_argument("--listen", default="127.0.0.1:7380")
    parser.add_argument("--init", action="store_true", help="make state and key first")
    options = parser.parse_args()
    if options.init:
        init(options.state)
    keys = [notes.VerifierKey.parse(text) for text in options.log]
    witness = Witness(options.state, options.name, keys)
    sys.stdout.write(f"{witness.key}\n")
    sys.stdout.flush()
    host, _, port = options.listen.rpartition(":")
    with server(witness, host, int(port)) as running:
        running.serve_forever()


if __name__ == "__main__":
    main()
