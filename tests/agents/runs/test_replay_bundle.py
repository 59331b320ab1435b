"""`run_replay --bundle`: an auditor replays a run without the database it was made in."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from agents import services
from agents.files import keeping
from agents.files.artifacts import Upload
from agents.models import Run, RunState
from audit.export.scope import Kind, Scope
from audit.verifier import countersign_verify
from tests.agents.runs.stage import Replies, Stage, program, register_signed
from tests.agents.runs.test_artifacts import LETTERS
from tests.agents.runs.tools import bank
from tests.audit.history import History
from tests.harness.server import ROOT

# A whole number: the sixteen digits of a random fraction are a card's once in seventy times, which
# the model may not be told.
READ = program("import random\nsums = statement()\nprint(sums, random.randrange(9999), limit)")
WRITE = program("note = note_down(text=str(sums['day']['z']))\nprint(note)")
GIVEN_UP = program("pay(account='DE01', amount_cents=5)\n1 / 0")
PAY = program("made = pay(account='DE01', amount_cents=5)\nprint(made['id'])")
LEAVE = program("with open('out/sums.txt', 'w') as file:\n    file.write('3')")
REFER = program("final_answer({'done': {'artifact': 'sums.txt'}})")
LOOK = program(
    "with open('in/week.csv', 'rb') as file:\n    print(sum(file.read()))\n"
    "print(repr(open('in/empty.txt').read()))"
)
FETCH = program("letter = fetch_letter(vendor='V-1')\nprint(letter['artifact'])")
READ_LETTER = program("print(open('in/2-1-letter.txt').read())")
ANSWER_LETTER = program("final_answer({'done': 'read'})")
ANSWER = program("import time\nprint(time.time())\nfinal_answer({'done': note, 'a': made})")


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """Keys and exports of this test's own."""
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def bundle(committing_stage: Stage, home: Path) -> tuple[Run, Path]:
    stage = committing_stage
    run = stage.play(stage.start(READ, "no program", WRITE, GIVEN_UP, PAY, ANSWER, limit=3))
    stage.vote(run, "bob")
    stage.vote(run, "beth")
    run = stage.play(run)
    assert run.state == RunState.SUCCEEDED
    return run, exported(stage, run)


def exported(stage: Stage, run: Run, *, payloads: bool = True) -> Path:
    history = History(stage.workspace_id)
    history.sign()
    return history.export(Scope(Kind.RUN, run=run.id), payloads=payloads)


def replayed(bundle: Path, *run: str) -> str:
    out = StringIO()
    call_command("run_replay", *run, "--bundle", str(bundle), stdout=out)
    return out.getvalue()


def refused(bundle: Path, *run: str) -> CommandError:
    with pytest.raises(CommandError) as raised:
        call_command("run_replay", *run, "--bundle", str(bundle), stdout=StringIO())
    return raised.value


def forged(bundle: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The bundle with every shown entry passed through `edit`."""
    other = bundle.with_name("forged.zip")
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "entries.jsonl":
                leaves = [json.loads(line) for line in data.splitlines()]
                for leaf in leaves:
                    if isinstance(leaf, dict):
                        edit(leaf)
                data = b"".join(json.dumps(leaf).encode() + b"\n" for leaf in leaves)
            new.writestr(name, data)
    return other


def test_a_run_replays_from_its_bundle_and_differences_are_shown(
    bundle: tuple[Run, Path], committing_stage: Stage
) -> None:
    run, file = bundle
    reads, effects = bank.reads, list(bank.effects)
    said = replayed(file).splitlines()
    assert said[0].endswith("succeeded")
    assert "step 2  not replayed: it did not run to its end" in said
    assert said[-1] == "The replay matches the bundle: 5 steps."
    assert (bank.reads, bank.effects) == (reads, effects)
    assert "matches the bundle" in replayed(file, str(run.id))

    def another_clock(leaf: dict[str, Any]) -> None:
        if leaf["action"] == "step.proposed":
            leaf["detail"]["time_us"] += 1_000_000

    told = refused(forged(file, another_clock))
    assert (told.returncode, str(told)) == (1, "The replay differs from the bundle.")

    def another_runtime(leaf: dict[str, Any]) -> None:
        if leaf["action"] == "step.executed":
            leaf["detail"]["runtime"] = "0" * 64

    assert refused(forged(file, another_runtime)).returncode == 1
    missing = refused(exported(committing_stage, run, payloads=False))
    assert missing.returncode == 3
    assert "--payloads" in str(missing)


def started_with(stage: Stage, *files: Upload) -> Run:
    return services.run_start(
        workspace_id=stage.workspace_id,
        agent="Teller",
        requester=stage.cast.actor("alice"),
        files=files,
    ).run


def test_files_that_a_program_left_are_made_again(committing_stage: Stage, home: Path) -> None:
    left = committing_stage.play(committing_stage.start(LEAVE, REFER))
    assert left.state == RunState.SUCCEEDED, left.reason
    assert "matches the bundle" in replayed(exported(committing_stage, left))


def test_files_that_a_program_was_given_are_in_the_bundle(
    committing_stage: Stage, home: Path
) -> None:
    """By its task and by a tool: the bundle has them, the verifier holds them to the log."""
    stage = committing_stage
    register_signed(stage.cast, LETTERS)
    stage.model = Replies([LOOK, FETCH, READ_LETTER, ANSWER_LETTER])
    table = Upload("week.csv", bytes(range(256)) * 5000)
    run = stage.play(started_with(stage, table, Upload("empty.txt", b"")))
    assert run.state == RunState.SUCCEEDED, run.reason
    bundle, reads = exported(stage, run), bank.reads
    assert replayed(bundle).splitlines()[-1] == "The replay matches the bundle: 4 steps."
    assert bank.reads == reads
    assert verified(bundle) == 0

    def another_file(leaf: dict[str, Any]) -> None:
        if leaf["action"] == "artifact.given":
            leaf["detail"]["sha256"] = "0" * 64

    told = refused(forged(bundle, another_file))
    assert (told.returncode, "not what the entry says" in str(told)) == (3, True)
    hidden = refused(exported(stage, run, payloads=False))
    assert (hidden.returncode, "--payloads" in str(hidden)) == (3, True)


def test_a_file_that_is_too_large_for_the_log_is_told(
    committing_stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = committing_stage
    stage.model = Replies([LEAVE, REFER])
    monkeypatch.setattr(keeping, "MAX_LOGGED_BYTES", 3)
    run = stage.play(started_with(stage, Upload("week.csv", b"1234")))
    told = refused(exported(stage, run))
    assert (told.returncode, "the hash alone" in str(told)) == (3, True)


def verified(bundle: Path) -> int:
    keys = zipfile.ZipFile(bundle).read("keys.json")
    [key] = json.loads(keys)["log"]
    return countersign_verify.main([str(bundle), "--key", key])


def test_a_forged_payload_is_refused(bundle: tuple[Run, Path]) -> None:
    def recommit(leaf: dict[str, Any]) -> None:
        for commitment in leaf.get("payloads", {}).values():
            commitment["commitment"] = "0" * 64

    told = refused(forged(bundle[1], recommit))
    assert told.returncode == 3
    assert "is not what the entry commits to" in str(told)


def test_a_file_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("nothing")
    assert refused(tmp_path / "x.zip").returncode == 3


def test_it_needs_no_database(bundle: tuple[Run, Path], tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_HOME": str(tmp_path / "auditor"),
        "COUNTERSIGN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "run_replay", "--bundle", str(bundle[1])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "matches the bundle" in done.stdout
