"""A million entries: search, export and verification in bounded time and memory."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.test import Client

from audit import exports, selectors, signing
from audit.export.scope import Kind, Scope
from audit.models import Entry
from audit.search import Filters
from audit.sequencer import Sequencer
from audit.transactions import Block, current_block, in_workspace
from countersign import heap
from countersign.accounts.models import User, Workspace
from countersign.accounts.services import token, workspace_prepare
from countersign.api import cursors
from tests.audit import million
from tests.audit.history import ALICE, History
from tests.audit.million import Questions, Times, percentile
from tests.benchmarks.result import RESULTS, Result
from tests.countersign.api.caller import ROOT, caller_in
from tests.harness.server import ROOT as ROOT_FOLDER
from tests.harness.server import Clone, Server

pytestmark = pytest.mark.soak
ENTRIES = 1_000_000
EACH = 40
"""Pages asked of each kind of question, through each door."""
GOAL_MS = 150
SHOWN = (50, 95, 100)

Page = Callable[[Filters, str], object]


def test_a_million_entries(
    committing_database: Clone,
    database_server: Server,
    measured: list[Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More questions are asked here in a minute than one token may ask.
    monkeypatch.setattr(token, "REQUESTS_A_MINUTE", 1_000_000)
    with database_server.admin.connect(committing_database.name) as admin:
        million.loosen_clock(admin)
        acme = founded_before_it_all(monkeypatch)
        User.objects.update(must_change_password=False)
        history = History(acme.id)
        million.fill(committing_database, history.workspace, ENTRIES)
        sequencer = Sequencer("sequencer")
        start = time.perf_counter()
        placed = sequencer.catch_up()
        rate = placed / (time.perf_counter() - start)
        # What autovacuum does by itself within a minute.
        admin.execute("VACUUM ANALYZE audit_entry")
    measured.append(Result("audit soak: entries placed", rate, "per s", 10_000, "higher"))
    history.sign()
    doors = {
        "search": by_selector(history.workspace),
        "console": by_console(),
        "api": by_api(acme),
    }
    slow = [kind for name, door in doors.items() for kind in ask(name, door, history, measured)]
    bundle, exporting = export(history, committing_database, measured)
    verifying = verify(history, bundle, placed, measured)
    assert not slow
    assert exporting <= 150
    assert verifying <= 150


def ask(door: str, page: Page, history: History, measured: list[Result]) -> list[str]:
    """Ask every kind of question; return those whose 95th percentile misses the goal."""
    kinds = {kind: Times() for kind in questions(history.workspace).kinds()}
    dice = random.Random(11)
    found = questions(history.workspace).kinds()
    page(Filters(), "")  # the first one of a process loads the programs
    heap.settle()  # as a web process does, which lacks what this harness holds
    for _ in range(EACH):
        # In turn, so that no kind finds its own pages in memory more than people do.
        for kind, times in kinds.items():
            filters, cursor = found[kind](dice)
            times.take(lambda filters=filters, cursor=cursor: page(filters, cursor))  # type: ignore[misc]
    slow = []
    for kind, times in kinds.items():
        p95 = percentile(times.all, 95)
        slow += [f"{door}: {kind}"] if p95 > GOAL_MS else []
        measured.append(Result(f"audit soak: {door}, {kind}, p95", p95, "ms", GOAL_MS, "lower"))
    waited = [ms for times in kinds.values() for ms in times.all]
    for percent in (50, 100):
        value = percentile(waited, percent)
        name = f"audit soak: {door}, p{percent}"
        measured.append(Result(name, value, "ms", None, "lower"))
    keep(door, kinds)
    return slow


def keep(door: str, kinds: Mapping[str, Times]) -> None:
    """Write what the pages took beside the results, for whoever looks for what is slow."""
    file = RESULTS.with_name("search.json")
    told = json.loads(file.read_text()) if file.exists() else {}
    told[door] = {
        kind: {
            **{f"p{percent}": round(percentile(times.all, percent), 1) for percent in SHOWN},
            **{f"cpu_p{percent}": round(percentile(times.spent, percent), 1) for percent in SHOWN},
        }
        for kind, times in kinds.items()
    }
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(told, indent=1) + "\n")


def questions(workspace: UUID) -> Questions:
    dice = random.Random(3)
    with in_workspace(workspace), current_block().connection.cursor() as cursor:
        cursor.execute("SELECT current_user, row_security_active('audit_entry')")
        assert cursor.fetchone() == ("countersign_app", True)
        started = Entry.objects.filter(action="run.started").values_list("run_id", flat=True)
        runs = dice.sample([run for run in started if run], 500)
    return Questions(workspace, runs, million.crowd(workspace))


def by_selector(workspace: UUID) -> Page:
    return lambda filters, cursor: selectors.entries(workspace, filters, cursor=cursor)


def by_console() -> Page:
    client = Client()
    dan = User.objects.get(username="dan")
    client.force_login(dan, "django.contrib.auth.backends.ModelBackend")

    def page(filters: Filters, cursor: str) -> None:
        query = urlencode({**in_form(filters), "after": cursor} if cursor else in_form(filters))
        response = client.get(f"/w/acme/audit/?{query}")
        assert response.status_code == 200

    return page


def in_form(filters: Filters) -> dict[str, str]:
    """What a person types into the console's form for this."""
    found = filters.to_text()
    if filters.since and filters.until:
        found["since"] = str(filters.since.date())
        found["until"] = str((filters.until - timedelta(days=1)).date())
    if len(filters.actors) > 1:
        found["actor"] = "Person 01" if len(filters.actors) == 10 else "Person 0"
    if len(filters.actions) > 1:
        found["action"] = "group:Approvals and signatures"
    return found


def founded_before_it_all(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose own entries are older than the month of work that follows."""
    before = datetime.now(UTC) - timedelta(days=million.DAYS, hours=1)
    with monkeypatch.context() as past:
        past.setattr(Block, "clock", lambda block: before)
        people = million.drafts_of_people()
        return workspace_prepare(name="Acme", slug="acme", people=people).workspace


def by_api(workspace: Workspace) -> Page:
    caller = caller_in(workspace)
    client = Client(headers={"Authorization": f"Bearer {caller.token}"})

    def page(filters: Filters, cursor: str) -> None:
        asked: dict[str, object] = {**filters.to_text(), "action": filters.actions}
        if cursor:
            asked["cursor"] = cursors.seal("entries", cursor)
        if len(filters.actors) > 1:
            # The API takes one.
            asked["actor"] = filters.actors[0]
        query = urlencode(asked, doseq=True)
        response = client.get(f"{ROOT}/audit/entries?{query}")
        assert response.status_code == 200, response.content

    return page


# Not `ru_maxrss`: that of a new process begins with what its parent held when it was made.
PEAK = "peak=next(int(l.split()[1]) for l in open('/proc/self/status') if 'VmHWM' in l)/1024\n"
EXPORT = (
    "import sys,time,django\n"
    "django.setup()\n"
    "from uuid import UUID\n"
    "from audit import exports\n"
    "start=time.perf_counter(); made=exports.make_export(UUID(sys.argv[1]),UUID(sys.argv[2]))\n"
    f"{PEAK}"
    "print('measured',made,time.perf_counter()-start,peak)\n"
)


def export(history: History, clone: Clone, measured: list[Result]) -> tuple[Path, float]:
    """Export the whole log in a process of its own; return the bundle and its peak in MB."""
    job = exports.request_export(
        history.workspace, Scope(Kind.WORKSPACE), payloads=False, actor=ALICE
    )
    made, seconds, peak = run(EXPORT, str(history.workspace), str(job.id), **clone.environment())
    assert made == "True"
    name = "audit soak: export, a million entries"
    measured.append(Result(name, float(seconds), "s", None, "lower"))
    measured.append(Result("audit soak: export, peak memory", float(peak), "MB", 150, "lower"))
    return exports.file_of(job), float(peak)


def run(program: str, *arguments: str, **environment: str) -> list[str]:
    """Run a program of ours by itself; return what it measured."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT_FOLDER,
        env=environment or None,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


VERIFY = (
    "import sys,time\n"
    "from audit.verifier import countersign_verify as v\n"
    "start=time.process_time(); status=v.main(sys.argv[1:])\n"
    f"{PEAK}"
    "print('measured',status,time.process_time()-start,peak)\n"
)


def verify(history: History, bundle: Path, placed: int, measured: list[Result]) -> float:
    """Verify the bundle in a process of its own; return its peak memory in MB."""
    key = str(signing.verifier_keys(history.workspace)[0])
    status, spent, peak = run(VERIFY, str(bundle), "--key", key)
    assert status == "0"
    rate = placed / float(spent)
    measured.append(Result("audit soak: verify, on one core", rate, "per s", 40_000, "higher"))
    measured.append(Result("audit soak: verify, peak memory", float(peak), "MB", 150, "lower"))
    return float(peak)
