"""The folder that holds everything one installation makes: secrets, logs, mailbox, database.

Two installations never share one. Secrets are files that only their owner may read; each is
made once, by whoever asks first, and never changes by itself.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """One installation's folder; everything in it is made on first use, readable by us only."""

    path: Path

    def folder(self, *names: str) -> Path:
        """Return a folder below home, made with mode 0700 if missing."""
        found = self.path
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            found = found / name
            found.mkdir(mode=0o700, exist_ok=True)
        return found

    def secret(self, name: str) -> str:
        """Return the secret called ``name``: 43 URL-safe characters, 256 random bits."""
        self._require_ours()
        file = self.folder("secrets") / name
        try:
            return _read_private(file)
        except FileNotFoundError:
            _create_private(file, secrets.token_urlsafe(32))
        return _read_private(file)

    def _require_ours(self) -> None:
        # Everything here can be deleted by one command, so nobody else's folder may become a home.
        # One look: two processes may start at once, and the other one be making `secrets` just now.
        names = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if names and "secrets" not in names:
            raise PermissionError(
                f"{self.path} holds files and is no home of Countersign's;"
                " set COUNTERSIGN_HOME to an empty or new folder"
            )


def _read_private(file: Path) -> str:
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise PermissionError(
            f"{file} may be read by others (mode {mode:o}); run: chmod 600 {file}"
        )
    value = file.read_text(encoding="ascii").strip()
    if not value:
        raise ValueError(f"{file} is empty; restore it from a backup")
    return value


def _create_private(file: Path, value: str) -> None:
    # Two processes may start at once: the file is written aside and linked into place, so that
    # nobody reads half a secret and the second one keeps what the first one made.
    aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(value + "\n")
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(aside, file)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
