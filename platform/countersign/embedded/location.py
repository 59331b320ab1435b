"""Where the embedded database of an installation lives.

PostgreSQL refuses to run as root, so there it runs as its own user, which cannot enter the
folders of root (a clone under ``/root`` has mode 0700). The database of an installation made by
root is therefore kept under ``/var/lib/countersign``, everyone else's in their own home folder.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from countersign.home import Home

SYSTEM_STATE = Path("/var/lib/countersign")
PORT = 5432
# The kernel's limit on the path of a UNIX socket is 108 bytes with the final zero (unix(7)).
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class Location:
    """Folders of one cluster; ``socket`` is what clients give as host."""

    state: Path
    socket: Path

    @property
    def data(self) -> Path:
        return self.state / "data"


def at(state: Path) -> Location:
    """Return the location of a cluster kept in ``state``, with a socket path the kernel accepts."""
    socket = state / "socket"
    if len(os.fsencode(socket / f".s.PGSQL.{PORT}")) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        socket = Path(tempfile.gettempdir()) / f"countersign-{os.geteuid()}-{digest}"
    return Location(state=state, socket=socket)


def locate(home: Home) -> Location:
    """Return where the database of ``home`` is or will be; touches nothing but its identity."""
    if os.geteuid() != 0:
        return at(home.path / "database")
    # The identity keeps a new clone at the path of a deleted one from finding the old database,
    # and the path keeps a copied home from finding the original's.
    identity = f"{home.path.resolve()}\0{home.secret('identity')}"
    return at(SYSTEM_STATE / hashlib.sha256(identity.encode()).hexdigest()[:16])
