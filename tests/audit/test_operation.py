"""The log in operation: verification, processes that die, keys that change, commands, tasks."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command
from django.db import connections

from audit import (
    checkpoints,
    exports,
    guards,
    heads,
    keys,
    notes,
    rotation,
    selectors,
    signing,
    tasks,
)
from audit.errors import KeyUnavailable
from audit.export.scope import Kind, Scope
from audit.models import Entry, Export
from audit.services import Draft, Subject
from audit.transactions import PLATFORM, in_workspace
from audit.verifier import countersign_verify
from audit.verify import trees, verify_log
from tests.audit.history import ALICE, History
from tests.countersign.accounts.cast import Cast
from tests.harness.server import Clone, Server, pointed_at, with_own_heads

ROOT = Path(__file__).resolve().parents[2]
NOTE = Draft("note.taken", ALICE, Subject("note", "1"))


@contextmanager
def sequencer(clone: Clone, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py audit_sequencer` as the supervisor runs it, with heads of its own."""
    command = [sys.executable, "manage.py", "audit_sequencer"]
    environment = {**clone.environment(), "COUNTERSIGN_HOME": str(home)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def placed(workspace: UUID, size: int, within_s: float = 60.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if selectors.tree_status(workspace).size >= size:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_sequencer_is_replaced_by_the_one_that_stands_by(
    committing_database: Clone, workspace: UUID, home: Path
) -> None:
    history = History(workspace)
    with sequencer(committing_database, home) as first:
        history.record(NOTE)
        assert placed(workspace, 1)
        with sequencer(committing_database, home) as second:
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            history.record(NOTE, NOTE)
            assert placed(workspace, 3)
            second.terminate()
            assert second.wait(timeout=60) == 0
    status = selectors.tree_status(workspace)
    assert status.checkpoint is not None
    assert status.unsigned == 0
    assert verify_log(workspace).clean


def test_the_sequencer_refuses_a_database_older_than_its_heads(
    history: History, home: Path
) -> None:
    history.run()
    history.sign()
    heads.append([heads.SavedHead(history.workspace, 10_000, b"\0" * 32, datetime.now(UTC))])
    with pytest.raises(CommandError, match="history is in doubt"):
        call_command("audit_sequencer", "--once")


def test_verify_finds_what_the_database_lost(history: History, database_server: Server) -> None:
    history.record(*[NOTE] * 600)
    history.sign()
    assert verify_log(history.workspace).clean
    with database_server.admin.connect(connections["default"].settings_dict["NAME"]) as admin:
        admin.execute("SET countersign.migration = 'on'")
        admin.execute("ALTER TABLE audit_tile DISABLE TRIGGER audit_tile_refuse")
        admin.execute("UPDATE audit_tile SET hashes = hashes || '\\x00' WHERE index = 1")
        assert {f.check for f in verify_log(history.workspace).findings} == {"tile"}
        admin.execute("ALTER TABLE audit_position DISABLE TRIGGER audit_position_refuse")
        admin.execute("DELETE FROM audit_position WHERE position = 300")
        report = verify_log(history.workspace)
    assert {"order", "cut"} <= {finding.check for finding in report.findings}


def test_the_command_tells_and_records(history: History, home: Path) -> None:
    history.run()
    history.sign()
    out = io.StringIO()
    call_command("audit_verify", stdout=out)
    assert f"{history.workspace}: clean; 8 entries placed" in out.getvalue()
    assert "platform: clean" in out.getvalue()
    with in_workspace(history.workspace):
        assert Entry.objects.filter(action="log.verified").count() == 1
    (keys.key_directory() / signing.CURRENT).unlink()
    with pytest.raises(CommandError, match="not what it was"):
        call_command("audit_verify", f"--workspace={history.workspace}", stdout=out)


def test_heads_are_appended_only_when_a_tree_has_grown(history: History, home: Path) -> None:
    history.run()
    history.place()
    for _ in range(3):
        tasks.append_heads()
    assert [head.size for head in heads.read()] == [8]
    history.run()
    history.place()
    tasks.append_heads()
    assert [head.size for head in heads.read()] == [8, 16]
    with heads.path().open("a") as file:
        file.write('{"torn')
    assert len(heads.read(all_lines=True)) == 2
    assert heads.latest()[history.workspace].size == 16


def test_the_daily_work(history: History, home: Path) -> None:
    history.run()
    history.sign()
    tasks.verify_all()
    for tree in (None, history.workspace):
        with in_workspace(tree):
            assert Entry.objects.filter(action="log.verified").count() == 1
    daily = [each for each in settings.CELERY_BEAT_SCHEDULE.values() if each["schedule"] == 86_400]
    assert {"audit.verify_all", "audit.expire_payloads"} <= {each["task"] for each in daily}
    tasks.expire_payloads()
    assert trees() == sorted([PLATFORM, history.workspace])
    scope = Scope(Kind.WORKSPACE)
    job = exports.request_export(history.workspace, scope, payloads=False, actor=ALICE)
    tasks.make_export(str(history.workspace), str(job.id))
    found = selectors.export(history.workspace, job.id)
    assert found is not None
    assert found.state == Export.State.DONE
    assert [e.id for e in selectors.exports(history.workspace)] == [job.id]


def test_the_export_command(history: History) -> None:
    run = history.run()
    history.sign()
    out = io.StringIO()
    call_command("audit_export", str(history.workspace), "--run", str(run), stdout=out)
    path, _, key, named = out.getvalue().splitlines()
    assert named == f"workspace {history.workspace}"
    assert history.verify(Path(path)) == 0
    assert key.removeprefix("key ") == str(signing.verifier_keys(history.workspace)[0])
    with pytest.raises(CommandError, match="positions"):
        call_command("audit_export", str(history.workspace), "--first=5", "--end=1", stdout=out)


def test_commands_take_and_tell_the_names_of_workspaces(home: Path, committing_cast: Cast) -> None:
    history = History(committing_cast.acme.id)
    run = history.run()
    history.sign()
    out = io.StringIO()
    call_command("audit_verify", "--workspace=acme", stdout=out)
    call_command("audit_verify", "--workspace=platform", stdout=out)
    assert [line.partition(":")[0] for line in out.getvalue().splitlines()] == ["acme", "platform"]
    out = io.StringIO()
    call_command("audit_export", "acme", "--run", str(run)[:8], stdout=out)
    path, *_, named = out.getvalue().splitlines()
    assert named == "workspace acme"
    assert history.verify(Path(path)) == 0
    for command in (["audit_export", "acmé"], ["audit_verify", "--workspace=acmé"]):
        with pytest.raises(CommandError, match="there are: acme, other, platform"):
            call_command(*command)
    with pytest.raises(CommandError, match="No run begins with"):
        call_command("audit_export", "acme", "--run", "0000000f")
    program = home / "program.py"
    program.write_text("x = 1")
    out = io.StringIO()
    call_command("policy_check", str(program), "--workspace=acme", stdout=out)
    assert json.loads(out.getvalue())["outcome"] == "allow"
    with pytest.raises(CommandError, match="there are: acme, other"):
        call_command("policy_check", str(program), "--workspace=acmé")


def test_a_replaced_key_can_be_followed(history: History, tmp_path: Path) -> None:
    history.run()
    kept = tmp_path / "kept"
    kept.write_text(history.sign().note)
    old = str(signing.verifier_keys(history.workspace)[0])
    rotation.rotate_key(ALICE)
    with pytest.raises(KeyUnavailable, match="retire"):
        rotation.rotate_key(ALICE)
    history.sign()
    bundle = history.export()
    new = str(signing.verifier_keys(history.workspace)[0])
    assert _status([str(bundle), "--key", old, "--seen", str(kept)]) == 0
    assert _status([str(bundle), "--key", new, "--seen", str(kept)]) == 0
    with in_workspace(history.workspace):
        entry = Entry.objects.get(action="key.rotated")
    assert json.loads(bytes(entry.leaf))["detail"] == {"old": old, "new": new}
    assert rotation.retire_key(ALICE) == 2
    with in_workspace(history.workspace):
        entry = Entry.objects.get(action="key.retired")
    assert json.loads(bytes(entry.leaf))["detail"] == {"old": old, "new": new}
    with pytest.raises(KeyUnavailable, match="none to retire"):
        rotation.retire_key(ALICE)
    history.run()
    history.sign()
    assert verify_log(history.workspace).clean
    assert _status([str(history.export()), "--key", new, "--key", old]) == 0
    out = io.StringIO()
    call_command("audit_key", "show", "--workspace", str(history.workspace), stdout=out)
    assert out.getvalue().split() == [new]


def _status(arguments: list[str]) -> int:
    return countersign_verify.main(arguments)


def test_keys_are_private_and_never_made_twice(home: Path) -> None:
    path = home / "keys" / "k"
    secret = keys.secret_file(path, 32)
    assert keys.secret_file(path, 32) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        keys.secret_file(path, 32)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(KeyUnavailable, match="5 bytes"):
        keys.secret_file(path, 32)


def test_another_wrapping_key_opens_nothing(home: Path) -> None:
    first = keys.FileWrapper(home / "keys" / "a")
    second = keys.FileWrapper(home / "keys" / "b")
    wrapped = first.wrap(b"k" * 32, b"context")
    assert first.unwrap(wrapped, b"context") == b"k" * 32
    for wrapper, context in [(second, b"context"), (first, b"other")]:
        with pytest.raises(KeyUnavailable):
            wrapper.unwrap(wrapped, context)
    assert first.name != second.name


def test_the_signing_key_may_come_from_the_environment(home: Path, settings: LazySettings) -> None:
    settings.COUNTERSIGN_LOG_SIGNING_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert signing.current_signer().public == notes.LocalSigner(bytes(range(32))).public
    settings.COUNTERSIGN_LOG_SIGNING_KEY = "c2hvcnQ="
    with pytest.raises(KeyUnavailable, match="not 32"):
        signing.current_signer()


def test_the_check_says_which_guards_are_missing(
    committing_database: Clone, database_server: Server
) -> None:
    assert guards.check_guards(databases=["default"]) == []
    with database_server.admin.connect(committing_database.name) as admin:
        admin.execute("ALTER EVENT TRIGGER audit_refuse_ddl DISABLE")
        admin.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_refuse")
    found = guards.check_guards(databases=["default"])
    assert {message.id for message in found} == {"audit.W001"}
    assert len(found) == 2
    out = io.StringIO()
    call_command("audit_guard", stdout=out, stderr=io.StringIO())
    with database_server.admin.connect(committing_database.name) as admin:
        admin.execute("SET countersign.migration = 'on'")
        admin.execute(out.getvalue().encode())
        admin.execute("ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_refuse")
    assert guards.check_guards(databases=["default"]) == []


def test_each_clone_has_heads_of_its_own(
    history: History, committing_database: Clone, database_server: Server
) -> None:
    """What one database's log has shown must not accuse another's of being cut."""
    history.run()
    history.sign()
    assert heads.latest()
    other = database_server.clone()
    try:
        with pointed_at(other), with_own_heads(other):
            checkpoints.require_history("sequencer")
    finally:
        database_server.drop(other)
    checkpoints.require_history("sequencer")
