"""Plays one run again and again, each time with one death at one commit of one process.

A `House` is a database with people, tools and a scripted model, and the process that forks whoever
acts (`actors`). `play` takes a run from its start to its end: whoever is killed is followed by
somebody else, as an installation would have it, and people do what people would: sign what waits,
and look into the ledger where an effect is in doubt. The ledger is written by the tools themselves
and synced to disk; nothing of the product reads it.
"""

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from agents.models import Call, CallState, Run, RunState
from audit.models import Entry
from audit.transactions import in_workspace
from policies.models import OPEN_STATES, ApprovalRequest
from tests.e2e.ledger import entered
from tests.e2e.workers import TOOLS, Site, site, task
from tests.harness.server import ROOT, Clone

GOAL = "pay the week"
STEPS = [
    "names = [look(name='vendors'), look(name='amounts')]\nprint(len(names))",
    "a = enter(text='opened')\nb = enter_once(text='counted')\nc = enter(text='listed')",
    "paid = [pay(account=a, amount_cents=n) for n in (1, 2, 3) for a in ('DE01', 'SE02')]\n"
    "told = [dispatch(recipient=f'{n}@b.example', text='paid') for n in (1, 2, 3)]\n"
    "noted = enter(text='paid')",
    "rates = consult(name='rates')\nd = enter(text='checked')",
    "last = pay(account='FR03', amount_cents=4)",
    "final_answer([len(paid), len(told), last])",
]
EFFECTS = [
    *("opened", "counted", "listed"),
    *(f"pay-{account}-{cents}" for cents in (1, 2, 3) for account in ("DE01", "SE02")),
    *(f"dispatch-{n}@b.example-paid" for n in (1, 2, 3)),
    *("paid", "checked", "pay-FR03-4"),
]
ANSWER = [6, 3, "paid FR03"]
TURNS = 80
"""Acts that a run may take; an uninterrupted one takes eight."""


@dataclass(frozen=True)
class Death:
    """Where somebody dies: at the commit of this number, counted over everybody; 0 is nowhere.

    Attributes:
        meanwhile: what happens there instead of a death; the process goes on afterwards.
        who: only commits of this act are counted, "" for everybody's.
        then: another death, after this one.
    """

    at: int = 0
    after: bool = False
    meanwhile: Callable[[], None] | None = None
    who: str = ""
    then: "Death | None" = None


@dataclass
class Played:
    """What came of one run.

    Attributes:
        effects: what the tools did, in order, by their own record.
        doubts: effects that a person was asked about.
        who: whose commits there were, in order, until somebody died.
        struck: in which act somebody died (or the meanwhile happened), last.
        gaps: places missing in the run's chain of entries.
    """

    state: str = ""
    answer: Any = None
    effects: list[str] = field(default_factory=list)
    succeeded: int = 0
    doubts: int = 0
    who: list[str] = field(default_factory=list)
    struck: str = ""
    gaps: int = 0

    @property
    def twice(self) -> int:
        return sum((Counter(self.effects) - Counter(EFFECTS)).values())

    @property
    def lost(self) -> int:
        return sum((Counter(EFFECTS) - Counter(self.effects)).values())

    def is_right(self) -> bool:
        """Every effect once and in order, each recorded, and the run at its end."""
        return (
            (self.state, self.answer) == (RunState.SUCCEEDED, ANSWER)
            and self.effects == EFFECTS
            and self.succeeded == len(EFFECTS)
            and self.gaps == 0
        )


@dataclass
class House:
    """Where runs are played."""

    site: Site
    actors: "subprocess.Popen[str]"
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def workspace(self) -> UUID:
        return self.site.cast.acme.id

    def say(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.actors.stdin is not None
        assert self.actors.stdout is not None
        self.actors.stdin.write(json.dumps(order) + "\n")
        self.actors.stdin.flush()
        answer: dict[str, Any] = json.loads(self.actors.stdout.readline())
        return answer

    def play(self, death: Death) -> Played:
        """Play one run, in which somebody dies at one commit."""
        number = next(self.numbers)
        folder = self.site.folder / f"run-{number}"
        folder.mkdir()
        return _Play(self, death, f"key-{number}", folder).to_its_end()


@dataclass
class _Play:
    house: House
    death: Death | None
    key: str
    folder: Path
    before: int = 0
    played: Played = field(default_factory=Played)

    def to_its_end(self) -> Played:
        for _ in range(TURNS):
            run = self._run()
            if run is None:
                self._act("start", "alice", goal=GOAL, key=self.key)
            elif run.state == RunState.AWAITING_APPROVAL:
                self._sign(run)
            elif run.state == RunState.AWAITING_INPUT:
                self._settle(run)
            elif run.ended is None:
                self._work(run)
            else:
                return self._told(run)
        raise AssertionError(f"the run does not come to an end: {self.played}")

    def _work(self, run: Run) -> None:
        if run.lease_until is not None:
            # Whoever held it is dead; nobody may take it before its lease has lapsed.
            time.sleep(0.05)
        self._act("work", run=str(run.id))

    def _sign(self, run: Run) -> None:
        with in_workspace(self.house.workspace):
            found = ApprovalRequest.objects.filter(run_id=run.id, state__in=OPEN_STATES)
            request = found.latest("created")
        shown = {"request": str(request.id), "digest": request.displayed_digest}
        for name in ("bob", "beth"):
            self._act("vote", name, **shown)

    def _settle(self, run: Run) -> None:
        """Look into the ledger whether the effect in doubt happened, and say so."""
        calls = self.house.site.calls(run)
        [doubt] = [call for call in calls if call.state == CallState.UNKNOWN]
        text = _effect(doubt)
        known = [
            call for call in calls if call.state == CallState.SUCCEEDED and _effect(call) == text
        ]
        happened = len(entered(self.folder, text)) > len(known)
        result = {"enter": f"entered {text}"}.get(
            doubt.tool_version.tool.name, f"sent to {doubt.arguments.get('recipient')}"
        )
        self._act(
            "settle", "bob", call=str(doubt.id), happened=happened,
            result=result if happened else None,
        )  # fmt: skip
        self.played.doubts += 1

    def _act(self, act: str, name: str = "", **words: Any) -> None:
        order: dict[str, Any] = {"act": act, "folder": str(self.folder)}
        order["workspace"] = str(self.house.workspace)
        if name:
            actor = self.house.site.cast.actor(name)
            order |= {"user": actor.id, "name": actor.name}
        death = self.death
        counts = death is not None and death.who in ("", act)
        if death is not None and counts:
            order |= {"at": max(0, death.at - self.before), "after": death.after}
            order["blow"] = "SIGSTOP" if death.meanwhile else "SIGKILL"
        answer = self.house.say(order | words)
        struck = answer.get("killed", False)
        if "paused" in answer:
            assert death is not None
            assert death.meanwhile is not None
            death.meanwhile()
            answer, struck = self.house.say({}), True
        if not self.played.struck:
            self.played.who += [act] * answer["commits"]
        self.before += answer["commits"] if counts else 0
        if death is not None and struck:
            self.played.struck, self.death, self.before = act, death.then, 0

    def _run(self) -> Run | None:
        with in_workspace(self.house.workspace):
            return Run.objects.filter(idempotency_key=self.key).first()

    def _told(self, run: Run) -> Played:
        calls = self.house.site.calls(run)
        played = self.played
        played.state, played.answer = run.state, run.answer
        played.effects = entered(self.folder)
        played.succeeded = sum(
            call.state == CallState.SUCCEEDED and call.tool_version.effect == "write"
            for call in calls
        )
        with in_workspace(self.house.workspace):
            seen = list(Entry.objects.filter(run_id=run.id).values_list("run_seq", flat=True))
        played.gaps = len(set(range(1, len(seen) + 1)) ^ set(seen))
        return played


def _effect(call: Call) -> str:
    """The line that a call leaves in the ledger."""
    match call.tool_version.tool.name:
        case "pay":
            return f"pay-{call.arguments['account']}-{call.arguments['amount_cents']}"
        case "dispatch":
            return f"dispatch-{call.arguments['recipient']}-{call.arguments['text']}"
        case _:
            return str(call.arguments.get("text", ""))


@contextmanager
def house(clone: Clone, folder: Path) -> Iterator[House]:
    """A house on a clone that the test process is pointed at."""
    with site(clone, folder, [task("week", *STEPS)]) as here:
        log = (folder / "actors.log").open("w")
        actors = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.actors"],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={
                **clone.environment(),
                "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
                "COUNTERSIGN_BROKER_URL": "memory://",
                "COUNTERSIGN_TOOL_MODULES": TOOLS,
                "COUNTERSIGN_LOG_FORMAT": "text",
            },
        )
        with log, actors:
            assert actors.stdout is not None
            try:
                assert actors.stdout.readline() == "ready\n", (folder / "actors.log").read_text()
                yield House(here, actors)
            finally:
                actors.kill()
