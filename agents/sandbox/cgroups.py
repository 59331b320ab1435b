"""Finds the cgroups that the host lets this process make jails in.

They are the second layer: one process with a limited address space and a tmpfs of limited size
already bounds a jail's memory, and seccomp its processes. Nothing is promised where no cgroup
is delegated; ``sandbox_check`` says which of them hold.
"""

import os
from pathlib import Path

from agents.sandbox.nsjail import CgroupPlan

PARENT = "countersign"


def probe(mounts: str | None = None, own: str | None = None) -> CgroupPlan:
    """Give the groups that jails can be put in, making the parent group where needed.

    Args:
        mounts: text of ``/proc/self/mounts``, read if None.
        own: text of ``/proc/self/cgroup``, read if None.
    """
    mounts = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    own = Path("/proc/self/cgroup").read_text() if own is None else own
    points = _mount_points(mounts)
    if "v2" in points:
        group = _delegated_v2(points["v2"], _own_path(own))
        if group:
            return CgroupPlan(v2=str(group))
    memory = points["memory"] if _make_parent(points.get("memory"), "memory") else None
    pids = points["pids"] if _make_parent(points.get("pids"), "pids") else None
    if memory is None and pids is None:
        return CgroupPlan()
    return CgroupPlan(v1_memory=str(memory or ""), v1_pids=str(pids or ""), v1_parent=PARENT)


def remove_left_over(plan: CgroupPlan) -> int:
    """Remove the empty groups of jails whose nsjail was killed; give their number."""
    removed = 0
    parents = [Path(plan.v2)] if plan.v2 else []
    parents += [Path(mount) / PARENT for mount in (plan.v1_memory, plan.v1_pids) if mount]
    for parent in parents:
        for group in parent.glob("NSJAIL.*"):
            try:
                group.rmdir()  # The kernel refuses while a process is in it.
                removed += 1
            except OSError:
                continue
    return removed


def _mount_points(mounts: str) -> dict[str, Path]:
    points: dict[str, Path] = {}
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        if fields[2] == "cgroup2":
            points.setdefault("v2", Path(fields[1]))
        elif fields[2] == "cgroup":
            for controller in ("memory", "pids"):
                if controller in fields[3].split(","):
                    points.setdefault(controller, Path(fields[1]))
    return points


def _own_path(own: str) -> str:
    for line in own.splitlines():
        if line.startswith("0::"):
            return line[3:]
    return "/"


def _delegated_v2(mount: Path, own: str) -> Path | None:
    """Give the nearest group that hands memory and pids down and that we may write to.

    A group with processes of its own cannot hand controllers down, so under systemd it is
    usually the parent (``Delegate=yes`` with ``DelegateSubgroup=``).
    """
    group = mount / own.lstrip("/")
    for candidate in (group, *group.parents):
        if not candidate.is_relative_to(mount):
            break
        try:
            handed = (candidate / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if {"memory", "pids"} <= set(handed) and os.access(candidate, os.W_OK):
            return candidate
    return None


def _make_parent(mount: Path | None, controller: str) -> bool:
    if mount is None:
        return False
    parent = mount / PARENT
    try:
        parent.mkdir(exist_ok=True)
    except OSError:
        return False
    probe_file = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}[controller]
    return (parent / probe_file).exists() and os.access(parent, os.W_OK)
