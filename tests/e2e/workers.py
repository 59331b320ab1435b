"""Real workers for tests: Celery processes on a database of their own, and a model behind a socket.

A `Site` is what an installation is, without its web server: a database, a folder that the tools
write to, processes started by the very commands that the supervisor uses. The test process stands
for the doors: it starts, stops and signs, and its own messages reach nobody, so it is the
scheduler's sweep that finds every run.
"""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from agents import services
from agents.llm.script import parse_script
from agents.llm.scripted import ScriptedServer
from agents.models import Call, Run, RunState
from agents.registry import register
from agents.sandbox.reaper import jails_of
from agents.sandbox.spawner import owner_mark
from audit.models import Entry
from audit.services import Actor
from audit.transactions import in_workspace
from countersign.embedded.processes import service
from policies.models import Answer, ApprovalRequest, Meaning
from tests.countersign.accounts.cast import Cast, make_cast
from tests.harness.server import ROOT, Clone

TOOLS = "tests.e2e.ledger"
PATIENCE_S = 90.0
"""How long a test waits for what must happen, on a machine that has other things to do."""

REGISTER = """
models:
  scripted:
    base_url: {base_url}
    model: scripted-clerk
    labels: ["untrusted", "confidential"]
tools:
  look: tests.e2e.ledger:look
  consult: tests.e2e.ledger:consult
  enter: tests.e2e.ledger:enter
  enter_once: tests.e2e.ledger:enter_once
  pay: tests.e2e.ledger:pay
  dispatch: tests.e2e.ledger:dispatch
agents:
  Clerk:
    instructions: Keep the ledger.
    model: scripted
    tools: [look, consult, enter, enter_once, pay, dispatch]
    limits: {{steps: 12, step_wall_s: 120, step_cpu_s: 100}}
"""


def until(holds: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until `holds` is true."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.05)


@dataclass
class Celery:
    """One process of the service, as the supervisor would start it."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def mark(self) -> str:
        """What its jails carry; to be read while it lives."""
        return owner_mark(self.pid)

    def is_ready(self) -> bool:
        return " ready.\n" in self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: it has no say in it."""
        self.process.kill()
        self.process.wait()


@dataclass
class Site:
    """A database with a cast, tools, a scripted model, and the processes a test starts."""

    clone: Clone
    folder: Path
    model: ScriptedServer
    cast: Cast = field(default_factory=make_cast)
    started: list[Celery] = field(default_factory=list)

    def __post_init__(self) -> None:
        text = REGISTER.format(base_url=self.model.base_url)
        actor = Actor("system", "test", "the test")
        register(workspace_id=self.cast.acme.id, text=text, actor=actor)

    # Processes.

    def worker(self, threads: int = 8) -> Celery:
        """Start a worker; `ready` says when it takes messages."""
        return self._start("worker", {"COUNTERSIGN_WORKER_THREADS": str(threads)})

    def scheduler(self) -> Celery:
        return self._start("scheduler", {})

    def ready(self, *workers: Celery) -> None:
        for worker in workers:
            until(worker.is_ready, f"{worker.log} says that it is ready")

    def stop(self) -> None:
        """End whatever the test has left running."""
        for one in self.started:
            with contextlib.suppress(ProcessLookupError):
                one.signal(signal.SIGCONT)
            one.kill()

    def _start(self, name: str, extra: Mapping[str, str]) -> Celery:
        [command] = [process.command for process in service() if process.name == name]
        log = self.folder / f"{name}-{len(self.started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={
                    **self.clone.environment(),
                    "COUNTERSIGN_TOOL_MODULES": TOOLS,
                    "COUNTERSIGN_LOG_FORMAT": "text",
                    "LEDGER_FOLDER": str(self.folder),
                    **extra,
                },
            )
        self.started.append(Celery(process, log))
        return self.started[-1]

    # Doors.

    def run(self, goal: str) -> Run:
        return services.run_start(
            workspace_id=self.cast.acme.id,
            agent="Clerk",
            requester=self.cast.actor("alice"),
            goal=goal,
        ).run

    def cancel(self, run: Run) -> None:
        services.run_cancel(
            workspace_id=self.cast.acme.id, run_id=run.id, actor=self.cast.actor("alice")
        )

    def sign(self, run: Run, *names: str) -> None:
        with in_workspace(self.cast.acme.id):
            request = ApprovalRequest.objects.filter(run_id=run.id).latest("created")
        for name in names:
            result = services.approval_vote(
                workspace_id=self.cast.acme.id,
                request_id=request.id,
                voter=self.cast.actor(name),
                answer=Answer.SIGN,
                meaning=Meaning.APPROVED,
                comment="",
                displayed_digest=request.displayed_digest,
                reauthenticated_at=datetime.now(UTC),
            )
            assert result.refusal is None, result.refusal

    def settle(self, run: Run, *, happened: bool, result: str = "") -> None:
        [call] = [call for call in self.calls(run) if call.state == "unknown"]
        refused = services.call_resolve(
            workspace_id=self.cast.acme.id,
            call_id=call.id,
            actor=self.cast.actor("bob"),
            happened=happened,
            result=result if happened else None,
        )
        assert refused is None, refused

    # What there is to see.

    def fresh(self, run: Run) -> Run:
        with in_workspace(self.cast.acme.id):
            return Run.objects.get(id=run.id)

    def calls(self, run: Run) -> list[Call]:
        with in_workspace(self.cast.acme.id):
            found = Call.objects.filter(run=run).select_related("tool_version__tool")
            return list(found.order_by("step__number", "seq"))

    def actions(self, run: Run) -> list[str]:
        with in_workspace(self.cast.acme.id):
            entries = Entry.objects.filter(run_id=run.id).order_by("run_seq")
            return [entry.action for entry in entries]

    def claims(self, run: Run) -> list[tuple[int, datetime]]:
        """Each worker (its process id) that took the run, and when."""
        with in_workspace(self.cast.acme.id):
            found = Entry.objects.filter(run_id=run.id, action="run.claimed").order_by("run_seq")
            return [(_process(entry), entry.time) for entry in found]

    def wait(self, run: Run, *states: RunState) -> Run:
        """Wait until the run is in one of the states."""
        until(lambda: self.fresh(run).state in states, f"{run.goal} is {states}")
        return self.fresh(run)


def _process(claimed: Entry) -> int:
    owner: str = json.loads(bytes(claimed.leaf))["detail"]["process"]
    return int(owner.split(":")[1])


def jails(mark: str) -> list[int]:
    """The nsjail processes that a worker, dead or alive, has left on this machine."""
    return jails_of(mark)


def turns(*programs: str) -> list[dict[str, str]]:
    """A script's turns that give these programs one after another."""
    return [{"reply": f"Next.\n<code>\n{program}\n</code>"} for program in programs]


def task(name: str, *programs: str) -> dict[str, Any]:
    """What the model does in a run whose goal is `name`."""
    return {"name": name, "when": {"task": name}, "turns": turns(*programs)}


@contextlib.contextmanager
def site(clone: Clone, folder: Path, tasks: Sequence[Mapping[str, Any]]) -> Iterator[Site]:
    """A site on a clone that the test process is pointed at."""
    before = settings.COUNTERSIGN_TOOL_MODULES
    settings.COUNTERSIGN_TOOL_MODULES = [TOOLS]
    script = parse_script(json.dumps({"model": "scripted-clerk", "tasks": list(tasks)}))
    try:
        with ScriptedServer(script) as model:
            here = Site(clone, folder, model)
            try:
                yield here
            finally:
                here.stop()
    finally:
        settings.COUNTERSIGN_TOOL_MODULES = before
