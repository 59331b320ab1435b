"""Where jails are made and as whom; every number and path has a default that is safe."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from agents.sandbox import cgroups
from agents.sandbox.cgroups import CgroupPlan
from agents.sandbox.nsjail import OUTSIDE_ID, locate

SYSTEM_HOME = Path("/var/lib/countersign/runtimes")


@dataclass(frozen=True)
class SandboxConfig:
    """The host's side of every jail.

    Attributes:
        home: directory of the runtimes.
        nsjail: the binary.
        outside_uid: what the jail's processes are outside; never 0.
        outside_gid: likewise their group.
        lifetime_s: seconds after which nsjail ends a jail whatever happens.
        start_s: seconds that a jail may take to start.
        cgroups: groups that jails are put in.
    """

    home: Path
    nsjail: Path = field(default_factory=locate)
    outside_uid: int = OUTSIDE_ID
    outside_gid: int = OUTSIDE_ID
    lifetime_s: int = 3_600
    start_s: float = 20.0
    cgroups: CgroupPlan = field(default_factory=cgroups.probe)


def default(home: Path | None = None) -> SandboxConfig:
    """Give the configuration for the current user.

    Args:
        home: directory of the runtimes. Without it root uses ``/var/lib/countersign/runtimes``
            and anybody else the XDG data directory.
    """
    if os.geteuid() == 0:
        return SandboxConfig(home=home or SYSTEM_HOME)
    # No other id can be mapped without privileges. It is the worker's own, without any of its
    # rights: the jail sees no file and no process of that user.
    return SandboxConfig(
        home=home or Path.home() / ".local/share/countersign/runtimes",
        outside_uid=os.getuid(),
        outside_gid=os.getgid(),
    )


def from_settings() -> SandboxConfig:
    """Give the configuration that the Django settings ask for.

    ``COUNTERSIGN_RUNTIMES`` names the directory of the runtimes; without it a user's
    ``COUNTERSIGN_HOME`` holds them (root's may be closed to the jail's id, so it is not used).
    """
    from django.conf import settings  # noqa: PLC0415  (the room itself knows no Django)

    named = getattr(settings, "COUNTERSIGN_RUNTIMES", None)
    if named:
        return default(Path(named))
    home = getattr(settings, "COUNTERSIGN_HOME", None)
    if home and os.geteuid() != 0:
        return default(Path(home) / "runtimes")
    return default()
