"""Files of exports go when their time is up, and the log says so first."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings

from audit import exports, removal, selectors
from audit.errors import ExportFailed
from audit.export.scope import Kind, Scope
from audit.exports import Form
from audit.models import Entry, Export
from audit.tasks import CLOCK, remove_exports
from audit.transactions import in_workspace
from tests.audit.history import ALICE, History


@pytest.fixture
def job(history: History, settings: LazySettings) -> Export:
    """A finished export, of a time when files are kept for a week."""
    settings.COUNTERSIGN_EXPORT_DAYS = 7
    history.run()
    history.sign()
    history.export(Scope(Kind.WORKSPACE))
    [job] = selectors.exports(history.workspace)
    assert exports.file_of(job).is_file()
    return job


def age(job: Export, days: int, state: str = Export.State.DONE) -> None:
    finished = datetime.now(UTC) - timedelta(days=days)
    with in_workspace(job.workspace_id):
        Export.objects.filter(id=job.id).update(finished_at=finished, state=state)


def again(job: Export) -> Export:
    found = selectors.export(job.workspace_id, job.id)
    assert found is not None
    return found


def removals(workspace: UUID) -> list[Entry]:
    return selectors.entries(workspace, selectors.Filters(actions=("export.removed",))).entries


def test_a_file_is_there_until_its_time_is_up(history: History, job: Export) -> None:
    age(job, 6)
    kept = removal.kept_until(again(job))
    assert kept is not None
    assert timedelta(0) < kept - datetime.now(UTC) < timedelta(days=1)
    remove_exports()
    assert exports.file_of(job).is_file()
    assert removals(history.workspace) == []
    age(job, 8)
    remove_exports()
    assert not exports.file_of(job).exists()
    [entry] = removals(history.workspace)
    detail = json.loads(bytes(entry.leaf))["detail"]
    assert detail == {"days": 7, "payloads": True, "sha256": job.sha256}
    assert again(job).state == Export.State.REMOVED
    assert removal.kept_until(again(job)) is None
    remove_exports()
    assert len(removals(history.workspace)) == 1


def test_what_a_dead_sweep_left_goes_with_the_next(history: History, job: Export) -> None:
    file = exports.file_of(job)
    content = file.read_bytes()
    age(job, 8)
    remove_exports()
    # As if that process had died before it came to the file.
    file.write_bytes(content)
    other = file.with_name(f"{uuid4()}.zip")
    other.write_bytes(b"of nobody that is known")
    remove_exports()
    assert not file.exists()
    assert other.exists()
    assert len(removals(history.workspace)) == 1


def test_the_beginnings_of_one_that_failed_go_too(history: History, job: Export) -> None:
    left = exports.directory() / f"{job.id}.part"
    left.mkdir()
    (left / "entries.jsonl").write_text("{}")
    age(job, 8, Export.State.FAILED)
    assert removal.remove_due(CLOCK) == 1
    assert not left.exists()


def test_one_that_is_being_made_stays(history: History, job: Export) -> None:
    age(job, 8, Export.State.RUNNING)
    assert removal.remove_due(CLOCK) == 0
    assert exports.file_of(job).is_file()


def test_what_is_gone_is_made_again_with_the_same_scope(history: History, job: Export) -> None:
    assert exports.repeat_export(history.workspace, job.id, actor=ALICE) is None
    age(job, 8)
    remove_exports()
    with pytest.raises(ExportFailed, match="time of this export's file was up"):
        exports.download(history.workspace, job.id, Form.BUNDLE, actor=ALICE)
    new = exports.repeat_export(history.workspace, job.id, actor=ALICE)
    assert new is not None
    assert (new.scope, new.payloads) == (job.scope, job.payloads)
    assert exports.make_export(history.workspace, new.id)
    assert history.verify(exports.file_of(new), "--allow-open") == 0
    assert exports.repeat_export(uuid4(), job.id, actor=ALICE) is None
