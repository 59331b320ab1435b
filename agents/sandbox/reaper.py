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
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                killed += _reap_one(int(entry.name))
    if plan is not None:
        cgroups.remove_left_over(plan)
    return killed


def _reap_one(pid: int) -> bool:
    # The handle comes first: whatever is read next is about the process that it names, or
    # the signal goes to nobody.
    handle = os.pidfd_open(pid)
    try:
        if not _is_orphan(pid):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    finally:
        os.close(handle)


def _is_orphan(pid: int) -> bool:
    prefix = f"{OWNER_VARIABLE}=".encode()
    for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if variable.startswith(prefix):
            owner, _, started = variable.removeprefix(prefix).decode().partition(":")
            return not owner.isdigit() or start_time(int(owner)) != started
    return False
