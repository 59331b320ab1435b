"""The jails of a worker process: one pool, made on first use."""

import functools

from agents.sandbox.config import SandboxConfig, from_settings
from agents.sandbox.contract import JailLimits
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import Runtime, named_runtime
from agents.sandbox.session import Jail


def start(runtime: Runtime, limits: JailLimits) -> Jail:
    """A jail that has run nothing yet.

    Raises:
        SandboxUnavailable: this host does not let jails start; says what to do.
    """
    return _pool().acquire(runtime, limits)


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
