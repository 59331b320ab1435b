"""The jails of a worker process: one pool, made on first use, of a sandbox that was tried first."""

import functools

from agents.sandbox.check import Verdict, check_reach
from agents.sandbox.config import SandboxConfig, from_settings
from agents.sandbox.contract import JailLimits
from agents.sandbox.errors import SandboxUnavailable
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import Runtime, named_runtime
from agents.sandbox.session import Jail


def start(runtime: Runtime, limits: JailLimits) -> Jail:
    """A jail that has run nothing yet.

    Raises:
        SandboxUnavailable: this host does not let jails start, or one of the sandbox's promises
            does not hold on it; says what to do. No program runs then.
    """
    require_sandbox(runtime)
    return _pool().acquire(runtime, limits)


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
