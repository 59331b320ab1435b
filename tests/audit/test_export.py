"""Exports: jobs that resume, scopes, and what a bundle shows of each."""

import csv
import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from audit import erasure, exports, signing
from audit.canonical import JSON
from audit.export import bundle, tables
from audit.export.scope import Kind, Scope
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Entry, Export
from audit.services import Draft, Subject
from audit.transactions import in_workspace
from audit.verifier import countersign_verify as verifier
from tests.audit.history import ALICE, BOB, History


@pytest.fixture
def full(history: History) -> History:
    history.run()
    history.run(review=True)
    history.sign()
    history.run()
    history.sign()
    return history


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_payloads_are_shown_only_where_asked_for(full: History) -> None:
    shown, withheld = full.export(payloads=True), full.export(payloads=False)
    assert full.verify(shown) == full.verify(withheld) == 0
    data = [json.loads(x) for x in members(shown)["payloads.jsonl"].splitlines()]
    assert any("data" in line for line in data)
    hidden = [json.loads(x) for x in members(withheld)["payloads.jsonl"].splitlines()]
    assert {line["state"] for line in hidden} == {"withheld"}


def test_a_range_in_the_middle(full: History) -> None:
    bundle = full.export(Scope(Kind.RANGE, first=5, end=20))
    assert full.verify(bundle) == 0
    assert len(members(bundle)["entries.jsonl"].splitlines()) == 15


def test_a_range_needs_proofs_of_the_sizes_an_auditor_kept(full: History, tmp_path: Path) -> None:
    with in_workspace(full.workspace):
        first = Checkpoint.objects.order_by("size").first()
    assert first is not None
    kept = tmp_path / "kept"
    kept.write_text(first.note)
    scope = Scope(Kind.RANGE, first=first.size + 1, end=first.size + 3)
    assert full.verify(full.export(scope), "--seen", str(kept)) == verifier.NUMBER["consistency"]
    scope = Scope(Kind.RANGE, first=first.size + 1, end=first.size + 3, sizes=(first.size,))
    assert full.verify(full.export(scope), "--seen", str(kept)) == 0
    whole = full.export()
    assert full.verify(whole, "--seen", str(kept)) == 0


def test_a_run_shows_the_rest_as_hashes_and_says_so(full: History) -> None:
    run = full.run(review=True)
    full.run()
    full.sign()
    bundle = full.export(Scope(Kind.RUN, run=run))
    files = members(bundle)
    shown = [x for x in files["entries.jsonl"].splitlines() if x.startswith(b"{")]
    assert {json.loads(line)["run"] for line in shown} == {str(run)}
    assert full.verify(bundle) == 0


def test_a_run_without_its_end_is_not_accepted_silently(full: History) -> None:
    run = full.run(end=False)
    full.sign()
    bundle = full.export(Scope(Kind.RUN, run=run))
    assert full.verify(bundle) == verifier.NUMBER["order"]
    assert full.verify(bundle, "--allow-open") == 0


def test_a_search_bundle(full: History) -> None:
    full.record(Draft("note.taken", BOB, Subject("note", "1")))
    full.sign()
    bundle = full.export(Scope(Kind.SEARCH, filters={"actor": BOB.id}))
    assert full.verify(bundle) == 0
    assert b"does not prove that" in members(bundle)["report.html"]


@pytest.mark.parametrize(
    "scope",
    [
        Scope(Kind.RANGE, first=5, end=5),
        Scope(Kind.RANGE, first=0, end=10_000),
        Scope(Kind.RUN, run=uuid4()),
        Scope(Kind.SEARCH, filters={"actor": "nobody"}),
        Scope(Kind.SEARCH, filters={"since": "yesterday"}),
    ],
)
def test_a_scope_that_covers_nothing_fails_with_a_reason(full: History, scope: Scope) -> None:
    job = exports.request_export(full.workspace, scope, payloads=False, actor=ALICE)
    assert exports.make_export(full.workspace, job.id)
    with in_workspace(full.workspace):
        job = Export.objects.get(id=job.id)
    assert job.state == Export.State.FAILED
    assert job.error
    assert not exports.file_of(job).is_file()


def test_without_a_checkpoint_there_is_nothing_to_export(history: History) -> None:
    history.run()
    job = exports.request_export(
        history.workspace, Scope(Kind.WORKSPACE), payloads=False, actor=ALICE
    )
    exports.make_export(history.workspace, job.id)
    with in_workspace(history.workspace):
        assert "no checkpoint" in Export.objects.get(id=job.id).error


def test_an_export_is_in_the_log_with_its_hash(full: History) -> None:
    path = full.export()
    with in_workspace(full.workspace):
        entry = Entry.objects.get(action="export.made")
    detail = json.loads(bytes(entry.leaf))["detail"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (detail["sha256"], detail["payloads"]) == (digest, True)
    assert entry.actor_id == ALICE.id


def test_an_export_goes_on_where_its_maker_died(
    full: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "ROWS", 4)
    job = exports.request_export(full.workspace, Scope(Kind.WORKSPACE), payloads=True, actor=ALICE)
    died = _Dies(at=3)
    monkeypatch.setattr(exports, "_update", died)
    while True:
        with in_workspace(full.workspace):
            Export.objects.update(touched_at=datetime.now(UTC) - timedelta(hours=1))
        try:
            exports.make_export(full.workspace, job.id)
            break
        except _Died:
            died.calls = 0
    with in_workspace(full.workspace):
        job = Export.objects.get(id=job.id)
    assert job.state == Export.State.DONE
    assert died.deaths >= 2
    assert full.verify(exports.file_of(job)) == 0
    assert not exports.file_of(job).with_suffix(".part").exists()


def test_one_worker_at_a_time(full: History) -> None:
    job = exports.request_export(full.workspace, Scope(Kind.WORKSPACE), payloads=True, actor=ALICE)
    with in_workspace(full.workspace):
        Export.objects.update(state=Export.State.RUNNING, touched_at=datetime.now(UTC))
    assert not exports.make_export(full.workspace, job.id)
    assert exports.unfinished() == []
    with in_workspace(full.workspace):
        Export.objects.update(touched_at=datetime.now(UTC) - timedelta(minutes=5))
    assert exports.unfinished() == [(full.workspace, job.id)]


@pytest.mark.parametrize("sign", [*"=+-@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20"])
def test_no_cell_of_a_csv_begins_as_a_formula(sign: str) -> None:
    """Some spreadsheets take the full-width signs of an East Asian keyboard for the plain ones."""
    line = tables.csv_line([f"{sign}1+1", f"1{sign}1", 7]).decode()
    assert line == f'"\'{sign}1+1","1{sign}1","7"\r\n'


def test_the_csv_is_the_entries_and_no_formula(full: History) -> None:
    note = Draft("note.taken", ALICE, Subject("note", '=cmd|"/c calc"!A1', "2"), on_behalf_of=BOB)
    full.record(note)
    full.sign()
    files = members(full.export())
    # A spreadsheet takes the letters for UTF-8 only if the file says so.
    assert files["entries.csv"].startswith(tables.BYTE_ORDER_MARK)
    rows = list(csv.DictReader(files["entries.csv"].decode("utf-8-sig").splitlines()))
    lines = files["entries.jsonl"].splitlines()
    assert len(rows) == len(lines) > 20
    for position, (row, line) in enumerate(zip(rows, lines, strict=True)):
        leaf = json.loads(line)
        assert (row["position"], row["leaf_hash"]) == (str(position), leaf_hash(line).hex())
        for name in ("time", "action", "run", "run_seq", "id", "prev", "trace"):
            assert row[name] == str(leaf.get(name, "")), name
        for part in ("actor", "on_behalf_of"):
            told = {name: row[f"{part}_{name}"] for name in ("id", "name", "type")}
            assert told == leaf.get(part, {"id": "", "name": "", "type": ""})
        assert row["subject_type"] == leaf["subject"]["type"]
        assert row["subject_id"].removeprefix("'") == leaf["subject"]["id"]
        assert row["subject_version"] == leaf["subject"].get("version", "")
        assert json.loads(row["detail"] or "{}") == leaf.get("detail", {})
        assert row["payloads"].split() == sorted(leaf.get("payloads", {}))
    assert rows[-1]["subject_id"] == '\'=cmd|"/c calc"!A1'


def test_the_report_says_what_it_is_and_for_whom_was_acted(full: History) -> None:
    note = Draft(
        "note.taken",
        ALICE,
        Subject("note", "1"),
        on_behalf_of=BOB,
        detail={"new": True, "a": ["b"]},
    )
    full.record(note)
    full.sign()
    report = members(full.export())["report.html"].decode()
    for said in (
        "This page is for reading",
        "the verifier does not check what it says",
        "<dt>From</dt><dd><code>20",
        "Alice, for Bob",
        "new: true",
        "a: [&quot;b&quot;]",
        "the whole log",
    ):
        assert said in report, said


def test_a_search_may_find_what_accounts_for_others(full: History) -> None:
    """An erasure that the search shows is in the bundle once, not among the related ones too."""
    person = "user:1"
    noted = Draft(
        "note.taken", BOB, Subject("note", "1"), payloads={"text": "x"}, data_subject=person
    )
    full.record(noted)
    erasure.erase_subject(full.workspace, person, actor=BOB, basis="request")
    full.record(Draft("note.taken", BOB, Subject("note", "2")))
    full.sign()
    for filters in ({"actor": BOB.id}, {"action": "subject.erased"}, {"action": "note.taken"}):
        bundle = full.export(Scope(Kind.SEARCH, filters=filters))
        assert full.verify(bundle) == 0, filters


def test_the_report_escapes_what_agents_wrote(full: History) -> None:
    full.record(Draft("note.taken", ALICE, Subject("note", "<script>alert(1)</script>")))
    full.sign()
    report = members(full.export())["report.html"].decode()
    assert "<script>" not in report
    assert "&lt;script&gt;" in report


def test_the_bundle_verifies_on_a_machine_without_us(full: History, tmp_path: Path) -> None:
    """Isolated Python: no Django, no package of ours, only `cryptography` beside it."""
    path = full.export()
    program = tmp_path / "countersign_verify.py"
    program.write_bytes(members(path)["countersign_verify.py"])
    key = str(signing.verifier_keys(full.workspace)[0])
    blocker = (
        "import sys, runpy\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('audit', 'django', 'countersign', 'agents'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocker, str(program), str(path), "--key", key],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "VERIFIED" in done.stdout


class _Died(BaseException):
    pass


class _Dies:
    """Lets a job's progress through a few times, then dies as a killed worker does."""

    def __init__(self, at: int) -> None:
        self.at, self.calls, self.deaths = at, 0, 0

    def __call__(self, job: Export, **values: JSON) -> None:
        self.calls += 1
        if self.calls == self.at and "state" not in values:
            self.calls, self.deaths = 0, self.deaths + 1
            raise _Died
        update(job, **values)


update = exports._update
