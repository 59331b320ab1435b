"""The operating system's user that the database runs as."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

NAME = "countersign-db"


class Identity(TypedDict):
    """What `subprocess` is told, for a process to run as an account and keep its files to it."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None
    umask: int


@dataclass(frozen=True)
class Account:
    """Numeric ids to run as; None where the current user is the one."""

    uid: int | None
    gid: int | None

    @property
    def identity(self) -> Identity:
        groups: list[int] | None = None if self.uid is None else []
        return Identity(user=self.uid, group=self.gid, extra_groups=groups, umask=0o077)

    def give(self, path: Path) -> None:
        """Make ``path`` this account's; nothing to do for the current user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def database_account() -> Account:
    """Return the current user, or for root a dedicated user, made if missing.

    Raises:
        FileNotFoundError: ``useradd`` is missing.
        subprocess.CalledProcessError: It refused.
    """
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _create()
    return Account(entry.pw_uid, entry.pw_gid)


def _create() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise FileNotFoundError(f"useradd is missing; create a system user named {NAME}")
    subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin",
         "--comment", "Countersign's database", NAME],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return pwd.getpwnam(NAME)
