"""Where the demo keeps its things, all below the installation's own folder."""

import os
from pathlib import Path

from django.conf import settings

from countersign.home import Home


def folder() -> Path:
    """The demo's folder, made if missing, ours alone."""
    return _home().folder("demo")


def inbox() -> Path:
    """What suppliers sent: invoices as CSV, letters as text."""
    return folder() / "inbox"


def login_file() -> Path:
    """The tools' login to the bookkeeping, as libpq key-values."""
    return _home().folder("credentials") / "demo_bookkeeping"


def login_reference() -> str:
    """How the tools name that login; it is resolved at each call, in the broker's process."""
    return f"file:{login_file()}"


def write_private(file: Path, text: str) -> None:
    """Put `text` into a file that only we can read; whoever reads sees all of it or the old one."""
    aside = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    aside.replace(file)


def _home() -> Home:
    home: Home = settings.HOME
    return home
