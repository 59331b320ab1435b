"""The jails of a worker process: one pool, made on first use, of a sandbox that was tried first."""

import functools
from dataclasses import asdict

from agents.sandbox.check import Verdict, check_reach
from agents.sandbox.config import SandboxConfig, from_settings
from agents.sandbox.contract import JailLimits
from agents.sandbox.errors import SandboxUnavailable
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import Runtime, named_runtime
from agents.sandbox.session import Jail
from audit.canonical import JSON


def start(runtime: Runtime, limits: JailLimits) -> Jail:
    """A jail that has run nothing yet.

    Raises:
        SandboxUnavailable: this host does not let jails start, or one of the sandbox's promises
            does not hold on it; says what to do. No program runs then.
    """
    require_sandbox(runtime)
    return _pool().acquire(runtime, limits)


def held(jail: Jail) -> dict[str, JSON]:
    """The limits of a jail, in the log's profile, and which of them a cgroup holds as well."""
    limits = {**asdict(jail.limits), "wall_ms": int(jail.limits.wall_s * 1000)}
    del limits["wall_s"]
    plan = _config().cgroups
    by_cgroup = {"memory_bytes": plan.limits_memory, "pids": plan.limits_pids}
    return {"limits": limits, "cgroup": [name for name, holds in by_cgroup.items() if holds]}


@functools.cache
def require_sandbox(runtime: Runtime) -> None:
    """Try, once per process and runtime, what a program could reach from inside a jail.

    Raises:
        SandboxUnavailable: names every promise that does not hold.
    """
    failing = [one for one in check_reach(_config(), runtime) if one.verdict is Verdict.FAILS]
    if failing:
        told = "; ".join(f"{one.promise}: {one.detail}" for one in failing)
        raise SandboxUnavailable(
            f"The sandbox does not hold ({told}). Run manage.py sandbox_check."
        )


@functools.cache
def runtime_named(name: str) -> Runtime:
    """A built runtime; its digest is what journals and approvals name it by."""
    return named_runtime(name, _config().home)


@functools.cache
def _config() -> SandboxConfig:
    return from_settings()


@functools.cache
def _pool() -> Pool:
    return Pool(_config())
