"""Puts jails in cgroups where the host lets this process make some.

They are the second layer: one process with a limited address space and a tmpfs of limited size
already bounds a jail's memory, and seccomp its processes. What they add is the kernel's own
memory and a hard end to anything that was overlooked. Nothing is promised where none is
delegated; ``sandbox_check`` says which of them hold.

The host makes the groups, not nsjail: a move between groups waits for the kernel for some
milliseconds, which here pass while nsjail is being loaded.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PARENT = "countersign"
PREFIX = "jail-"


@dataclass(frozen=True)
class CgroupPlan:
    """Parent groups that this process may make jails' groups in; None where it may not.

    Attributes:
        memory: of the v1 memory controller.
        pids: of the v1 pids controller.
        v2: of the unified hierarchy, with both controllers handed down.
    """

    memory: Path | None = None
    pids: Path | None = None
    v2: Path | None = None

    @property
    def limits_memory(self) -> bool:
        """Whether jails' memory is limited by a cgroup."""
        return bool(self.memory or self.v2)

    @property
    def limits_pids(self) -> bool:
        """Whether jails' threads are limited by a cgroup."""
        return bool(self.pids or self.v2)

    def parents(self) -> Iterator[Path]:
        """Give every parent group."""
        return (parent for parent in (self.memory, self.pids, self.v2) if parent)


class Group:
    """The groups of one jail.

    Args:
        plan: where they are made.
        name: ``<owner>-<random>``, unlike that of any other jail on this host.
        memory_bytes: limit of everything the jail keeps in memory, files included.
        pids: limit of processes and threads.
    """

    def __init__(self, plan: CgroupPlan, name: str, memory_bytes: int, pids: int) -> None:
        self._name = f"{PREFIX}{name}"
        self._paths: list[Path] = []
        self._memory: Path | None = None
        memory, count = str(memory_bytes), str(pids)
        if plan.v2:
            limits = {"memory.max": memory, "memory.swap.max": "0", "pids.max": count}
            self._memory = self._make(plan.v2 / self._name, limits)
            return
        if plan.memory:
            limits = {"memory.limit_in_bytes": memory}
            self._memory = self._make(plan.memory / self._name, limits)
        if plan.pids:
            self._make(plan.pids / self._name, {"pids.max": count})

    def add(self, pid: int) -> None:
        """Put a process, and what it starts from now on, in the groups."""
        for path in self._paths:
            (path / "cgroup.procs").write_text(str(pid))

    def require(self, pid: int) -> None:
        """Put a process in the groups unless it already is."""
        if Path(f"/proc/{pid}/cgroup").read_text().count(self._name) < len(self._paths):
            self.add(pid)

    def ran_out(self) -> bool:
        """Tell whether the kernel has killed for lack of memory here."""
        if self._memory is None:
            return False
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                for line in (self._memory / name).read_text().splitlines():
                    key, _, number = line.partition(" ")
                    if key == "oom_kill" and number != "0":
                        return True
        return False

    def remove(self) -> None:
        """Remove the groups; what is still in use is left to ``remove_left_over``."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.rmdir()

    def _make(self, path: Path, limits: Mapping[str, str]) -> Path:
        path.mkdir(exist_ok=True)
        self._paths.append(path)
        for name, value in limits.items():
            with contextlib.suppress(FileNotFoundError):  # No swap accounting on this kernel.
                (path / name).write_text(value)
        return path


def probe(mounts: str | None = None, own: str | None = None) -> CgroupPlan:
    """Give the parents that jails' groups can be made in, making them where needed.

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
            return CgroupPlan(v2=group)
    return CgroupPlan(
        memory=_made_parent(points.get("memory"), "memory.limit_in_bytes"),
        pids=_made_parent(points.get("pids"), "cgroup.procs"),
    )


def remove_left_over(plan: CgroupPlan, is_dead: Callable[[str], bool]) -> int:
    """Remove the groups of jails whose worker was killed; give their number.

    Args:
        plan: where they are.
        is_dead: tells of an owner whether it has ended. The group of a living one may be
            empty only because its jail is about to start.
    """
    removed = 0
    for parent in plan.parents():
        for group in parent.glob(f"{PREFIX}*"):
            if is_dead(group.name.removeprefix(PREFIX).rpartition("-")[0]):
                with contextlib.suppress(OSError):  # The kernel refuses while it is in use.
                    group.rmdir()
                    removed += 1
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
        with contextlib.suppress(OSError):
            handed = (candidate / "cgroup.subtree_control").read_text().split()
            # Moving a process needs the common ancestor's list, too: ours is in this subtree.
            if {"memory", "pids"} <= set(handed) and _writable(candidate, "cgroup.procs"):
                return candidate
    return None


def _made_parent(mount: Path | None, file: str) -> Path | None:
    if mount is None:
        return None
    parent = mount / PARENT
    with contextlib.suppress(OSError):
        parent.mkdir(exist_ok=True)
        if _writable(parent, file):
            return parent
    return None


def _writable(group: Path, file: str) -> bool:
    return os.access(group, os.W_OK) and os.access(group / file, os.W_OK)
