"""A process that forks whoever acts on a run, and kills them at their commits.

``python -m tests.soak.actors`` reads orders, one JSON object a line, and answers each with one. An
order is carried out by a fork of this process with the product's own code: a worker drives the run,
a door starts it, votes or settles a doubt. Nothing of the product is told that it will be killed:
the fork's `psycopg.Connection.commit` counts, and at the commit that the order names it sends the
process SIGKILL (or SIGSTOP, for someone to take the database away meanwhile), right before
PostgreSQL is told to commit or right after it has answered. What the lease keeper's thread commits
moves nothing but the end of a lease, comes by the clock, and is not counted.
"""

import functools
import importlib
import json
import mmap
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

LEASE = timedelta(seconds=0.3)
"""Of the workers here: they are alone with their run, and whoever comes next waits for its end."""

Order = Mapping[str, Any]


@dataclass
class Fatal:
    """Counts commits where the parent can read it, and strikes at one of them.

    Attributes:
        at: the commit, from 1; 0 is none.
        after: strike once it is made, not before.
        blow: the signal.
    """

    counted: mmap.mmap
    at: int
    after: bool
    blow: signal.Signals

    def install(self) -> None:
        from psycopg import Connection

        commit, main = Connection.commit, threading.main_thread()

        def deadly(connection: Connection[Any]) -> None:
            if threading.current_thread() is not main:
                return commit(connection)
            chosen = self._count() == self.at
            if chosen and not self.after:
                os.kill(os.getpid(), self.blow)
            commit(connection)
            if chosen and self.after:
                os.kill(os.getpid(), self.blow)
            return None

        Connection.commit = deadly  # type: ignore[method-assign,assignment]

    def _count(self) -> int:
        self.counted[:4] = struct.pack("<I", self.seen + 1)
        return self.seen

    @property
    def seen(self) -> int:
        return int(struct.unpack("<I", self.counted[:4])[0])


def work(order: Order) -> None:
    """A worker's turn: the very task that a message starts."""
    from agents import tasks
    from agents.worker import leases

    leases.LEASE = LEASE
    tasks.advance(order["workspace"], order["run"])


def start(order: Order) -> None:
    from agents import services

    services.run_start(
        workspace_id=UUID(order["workspace"]),
        agent="Clerk",
        requester=_actor(order),
        goal=order["goal"],
        idempotency_key=order["key"],
    )


def vote(order: Order) -> None:
    from agents import services
    from policies.models import Answer, Meaning

    services.approval_vote(
        workspace_id=UUID(order["workspace"]),
        request_id=UUID(order["request"]),
        voter=_actor(order),
        answer=Answer.SIGN,
        meaning=Meaning.APPROVED,
        comment="",
        displayed_digest=order["digest"],
        reauthenticated_at=datetime.now(UTC),
    )


def settle(order: Order) -> None:
    from agents import services

    refused = services.call_resolve(
        workspace_id=UUID(order["workspace"]),
        call_id=UUID(order["call"]),
        actor=_actor(order),
        happened=order["happened"],
        result=order["result"],
    )
    assert refused is None, refused


ACTS: dict[str, Callable[[Order], None]] = {
    "start": start,
    "work": work,
    "vote": vote,
    "settle": settle,
}


def _actor(order: Order) -> Any:
    from audit.services import Actor

    return Actor("user", order["user"], order["name"])


def main() -> None:
    import django

    django.setup()
    from agents.sandbox.pool import Pool
    from agents.worker import jails

    for name in ("agents.services", "agents.tasks", "policies.services"):
        importlib.import_module(name)  # every fork finds them imported
    # Tried once, as every worker does before its first jail; a fork knows the answer.
    jails.require_sandbox(jails.runtime_named("stdlib"))
    # A fork lives for one turn of a run: it needs one jail, and none in reserve but one.
    jails._pool = functools.cache(lambda: Pool(jails._config(), size=1))
    print("ready", flush=True)  # noqa: T201 - it is how it answers
    for line in sys.stdin:
        print(json.dumps(_carried_out(json.loads(line))), flush=True)  # noqa: T201


def _carried_out(order: Order) -> dict[str, Any]:
    """Fork somebody who carries an order out; says how it ended.

    A fork that was stopped is reported as `paused`; the order after the next line of input, which
    says nothing, is the same fork going on.
    """
    counted = mmap.mmap(-1, 4)
    blow = signal.Signals[order.get("blow", "SIGKILL")]
    fatal = Fatal(counted, order.get("at", 0), order.get("after", False), blow)
    child = os.fork()
    if child == 0:
        _act(order, fatal)
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        print(json.dumps({"paused": True}), flush=True)  # noqa: T201
        sys.stdin.readline()
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    failed = 0 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return {"killed": killed, "failed": bool(failed), "commits": fatal.seen}


def _act(order: Order, fatal: Fatal) -> None:
    """The fork's whole life; it never returns."""
    ended = 1
    try:
        os.environ["LEDGER_FOLDER"] = order["folder"]
        fatal.install()
        ACTS[order["act"]](order)
        ended = 0
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(ended)


if __name__ == "__main__":
    main()
