"""Tools whose every effect is a line in a file, and which can be held while they act.

They run in the worker's process; the test sees the folder that `LEDGER_FOLDER` names. A call is
held by the file `hold-<moment>-<text>`: it says that it is there (`at-<moment>-<text>`) and waits
until the file is gone.
"""

import fcntl
import json
import os
import time
from pathlib import Path

from agents.tools.context import ToolContext
from agents.tools.decorator import tool

BEFORE, AFTER = "before", "after"
HELD_AT_MOST_S = 60.0


def folder() -> Path:
    return Path(os.environ["LEDGER_FOLDER"])


def hold(place: Path, moment: str, text: str) -> None:
    """Make the next call with `text` wait before or after its effect."""
    (place / f"hold-{moment}-{text}").touch()


def let_go(place: Path, moment: str, text: str) -> None:
    (place / f"hold-{moment}-{text}").unlink()


def is_held(place: Path, moment: str, text: str) -> bool:
    return (place / f"at-{moment}-{text}").exists()


def entered(place: Path, text: str = "") -> list[str]:
    """The effects so far, oldest first; of one text if it is given."""
    file = place / "ledger"
    lines = file.read_text().splitlines() if file.exists() else []
    found = [str(json.loads(line)["text"]) for line in lines]
    return [one for one in found if not text or one == text]


def _passed(moment: str, text: str) -> None:
    lock = folder() / f"hold-{moment}-{text}"
    if not lock.exists():
        return
    (folder() / f"at-{moment}-{text}").touch()
    deadline = time.monotonic() + HELD_AT_MOST_S
    while lock.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _enter(text: str, key: str) -> None:
    _passed(BEFORE, text)
    with (folder() / "ledger").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = [json.loads(line)["key"] for line in file]
        if not key or key not in known:
            file.write(json.dumps({"text": text, "key": key}) + "\n")
            file.flush()
            # Whoever counts reads this, whatever has been killed in between.
            os.fsync(file.fileno())
    _passed(AFTER, text)


@tool(effect="read", tier=0)
def look(name: str) -> str:
    """Read a file of the folder, empty if there is none.

    Args:
        name: Which.
    """
    (folder() / f"looked-{name}").touch()
    file = folder() / f"shown-{name}"
    return file.read_text() if file.exists() else ""


@tool(effect="read", tier=1, labels=("confidential",))
def consult(name: str) -> str:
    """Read what not everybody may know.

    Args:
        name: Which.
    """
    (folder() / f"consulted-{name}").touch()
    return f"about {name}"


@tool(effect="write", tier=0, timeout_s=HELD_AT_MOST_S)
def enter(text: str) -> str:
    """Write a line; a second time if called a second time.

    Args:
        text: What.
    """
    _enter(text, "")
    return f"entered {text}"


@tool(effect="write", tier=0, idempotent=True, timeout_s=HELD_AT_MOST_S)
def enter_once(text: str, context: ToolContext) -> str:
    """Write a line, once for one key.

    Args:
        text: What.
        context: The call.
    """
    _enter(text, context.idempotency_key)
    return f"entered {text}"


@tool(effect="write", tier=3, roles={"account": "recipient"}, idempotent=True)
def pay(account: str, amount_cents: int, context: ToolContext) -> str:
    """Pay an account.

    Args:
        account: Where to.
        amount_cents: How much.
        context: The call.
    """
    _enter(f"pay-{account}-{amount_cents}", context.idempotency_key)
    return f"paid {account}"


@tool(effect="write", tier=2, roles={"recipient": "recipient", "text": "free_text"})
def dispatch(recipient: str, text: str) -> str:
    """Send a message; a second one if called a second time.

    Args:
        recipient: To whom.
        text: What.
    """
    _enter(f"dispatch-{recipient}-{text}", "")
    return f"sent to {recipient}"
