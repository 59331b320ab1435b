"""Ends jails whose worker is dead.

The parent-death signal does this within milliseconds; the reaper is for what it cannot cover (a
worker that dies between starting nsjail and the signal being set), and removes the empty
cgroups that killed jails leave. Every nsjail carries its worker's id and start time in its own
environment, which the jail cannot see.
"""

import contextlib
import os
import signal
from pathlib import Path

from agents.sandbox import cgroups
from agents.sandbox.cgroups import CgroupPlan
from agents.sandbox.spawner import OWNER_VARIABLE, start_time


def reap(plan: CgroupPlan | None = None) -> int:
    """Kill the jails of dead workers, as far as this user may; give their number."""
    killed = 0
    for pid in _processes():
        with contextlib.suppress(OSError):
            killed += _reap_one(pid)
    if plan is not None:
        cgroups.remove_left_over(plan, _is_dead)
    return killed


def jails_of(worker: str) -> list[int]:
    """Give the process ids of the nsjails that a worker started.

    Args:
        worker: its ``spawner.owner_mark``; it may have ended.
    """
    return [pid for pid in _processes() if _owner(pid) == worker]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _reap_one(pid: int) -> bool:
    # The handle comes first: whatever is read next is about the process that it names, or
    # the signal goes to nobody.
    handle = os.pidfd_open(pid)
    try:
        owner = _owner(pid)
        if not owner or not _is_dead(owner):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    finally:
        os.close(handle)


def _owner(pid: int) -> str:
    """Give the mark of the worker that started a process as a jail, empty for any other."""
    prefix = f"{OWNER_VARIABLE}=".encode()
    with contextlib.suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(prefix):
                return variable.removeprefix(prefix).decode("ascii", "replace")
    return ""


def _is_dead(owner: str) -> bool:
    pid, _, started = owner.partition(":")
    return not pid.isdigit() or start_time(int(pid)) != started
