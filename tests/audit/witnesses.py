"""A witness of the real protocol, served over HTTP in a thread."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audit import notes
from audit.anchors import witness_server
from audit.anchors.witness import WitnessAnchor

NAME = "witness.example/w1"


@contextmanager
def running_witness(
    state: Path, logs: Sequence[notes.VerifierKey], name: str = NAME
) -> Iterator[WitnessAnchor]:
    """Serve a witness that knows `logs`; yields the anchor that speaks to it."""
    if not state.exists():
        witness_server.init(state)
    witness = witness_server.Witness(state, name, [_as_log(key) for key in logs])
    with witness_server.server(witness, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01])
        thread.start()
        try:
            host, port = running.server_address[:2]
            url = f"http://{host!s}:{port}"
            yield WitnessAnchor("w1", url, str(witness.key))
        finally:
            running.shutdown()
            thread.join()


def _as_log(key: notes.VerifierKey) -> notes.VerifierKey:
    return notes.VerifierKey(key.name, notes.LOG, key.public)
