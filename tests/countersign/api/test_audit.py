"""The log over HTTP: a program finds an entry, keeps its proof, and takes an export away."""

import json
from pathlib import Path

import pytest
from django.test import AsyncClient
from pytest_django import Settings

from audit import anchoring, exports, merkle, notes, selectors, signing, verification
from audit.anchors.file import FileAnchor
from audit.verifier import countersign_verify as verifier
from countersign.accounts.scopes import Scope
from tests.audit.history import BOB, History
from tests.countersign.accounts.cast import Cast
from tests.countersign.api.caller import ROOT, Caller, caller_in

CSV_START = b'\xef\xbb\xbf"position"'
"""With the mark by which spreadsheets know UTF-8."""


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """A home of the test's own, before anything is sealed with its keys."""
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def log(home: Path, committing_cast: Cast) -> History:
    history = History(committing_cast.acme.id)
    history.run(review=True)
    history.sign()
    history.run()
    history.sign()
    return history


@pytest.fixture
def auditor(log: History, committing_cast: Cast) -> Caller:
    return caller_in(committing_cast.acme, Scope.AUDIT_READ, Scope.AUDIT_EXPORT)


@pytest.fixture
def stranger(log: History, committing_cast: Cast) -> Caller:
    return caller_in(committing_cast.other)


def key(log: History) -> str:
    return str(signing.verifier_keys(log.workspace)[0])


def test_entries_are_found_by_what_they_say(log: History, auditor: Caller) -> None:
    def actions(**query: object) -> list[str]:
        return [entry["action"] for entry in auditor.get("audit/entries", **query).body["items"]]

    assert actions(actor=BOB.id) == ["vote.cast"]
    assert set(actions(tool="pay")) == {"call.intended", "decision.made"}
    assert actions(outcome="waits", tool="pay") == ["decision.made"]
    [entry] = auditor.get("audit/entries", actor=BOB.id).body["items"]
    assert entry["id"] in [
        e["id"] for e in auditor.get("audit/entries", text=entry["id"]).body["items"]
    ]
    assert actions(until=entry["time"], actor=BOB.id) == []
    assert actions(since=entry["time"], actor=BOB.id) == ["vote.cast"]
    for wrong in ({"outcome": "good"}, {"since": "2026-11-22"}, {"since": "2026-11-22T10:00:00"}):
        assert auditor.get("audit/entries", **wrong).status == 422


def test_a_page_that_looked_only_so_far_says_so(
    log: History, auditor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.search.WINDOW", 5)
    page = auditor.get("audit/entries", text="zebra", limit=4).body
    assert (page["items"], bool(page["next"])) == ([], True)
    assert page["looked_to"]
    last = page
    for _ in range(30):
        if not last["next"]:
            break
        last = auditor.get("audit/entries", text="zebra", limit=4, cursor=last["next"]).body
    assert (last["next"], last["looked_to"]) == ("", None)


def test_the_proof_of_an_entry_verifies_alone(
    log: History, auditor: Caller, stranger: Caller, tmp_path: Path
) -> None:
    [entry] = auditor.get("audit/entries", action="approval.consumed").body["items"]
    proof = auditor.get(f"audit/entries/{entry['id']}/proof")
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof.body))
    assert verifier.main([str(file), "--key", key(log)]) == 0
    assert proof.body["leaf"] == entry["leaf"]
    assert stranger.get(f"audit/entries/{entry['id']}/proof").status == 404
    log.run()
    newest = selectors.entries(log.workspace, limit=1).entries[0]
    unsigned = auditor.get(f"audit/entries/{newest.id}/proof")
    assert (unsigned.status, unsigned.code) == (409, "not_signed_yet")
    assert int(unsigned.headers["Retry-After"]) > 0


def test_checkpoints_are_read_as_data_and_as_notes(
    log: History, auditor: Caller, stranger: Caller, vault: Path
) -> None:
    anchoring.submit_due("sequencer", [FileAnchor("vault", str(vault))])
    first = auditor.get("audit/checkpoints", limit=1).body
    second = auditor.get("audit/checkpoints", limit=1, cursor=first["next"]).body
    [new], [old] = first["items"], second["items"]
    assert second["next"] == ""
    assert new == auditor.get("audit/checkpoints/latest").body
    assert old == auditor.get(f"audit/checkpoints/{old['size']}").body
    assert [receipt["anchor"] for receipt in new["receipts"]] == ["vault"]

    note = auditor.client.get(
        f"{ROOT}/audit/checkpoint", headers={"Authorization": f"Bearer {auditor.token}"}
    )
    assert note.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert note.content.decode() == new["note"]
    head = notes.parse(new["note"]).head
    assert (head.size, head.root.hex()) == (new["size"], new["root"])

    proof = auditor.get("audit/consistency", old=old["size"], new=new["size"]).body
    path = [bytes.fromhex(node) for node in proof["path"]]
    roots = bytes.fromhex(old["root"]), bytes.fromhex(new["root"])
    assert merkle.verify_consistency(old["size"], new["size"], *roots, path)
    for sizes in ({"old": 5, "new": 4}, {"old": 1, "new": 10_000}, {"old": 0, "new": 1}):
        assert auditor.get("audit/consistency", **sizes).status == 422
    assert auditor.get("audit/consistency").status == 422

    # Mallory's tree is another: ours is neither listed nor proved to her.
    assert stranger.get("audit/checkpoints").body["items"] == []
    assert stranger.get("audit/checkpoints/latest").status == 404
    assert stranger.get(f"audit/checkpoints/{new['size']}").status == 404
    assert stranger.get("audit/consistency", old=old["size"], new=new["size"]).status == 422


def test_monitoring_reads_how_the_log_stands(log: History, auditor: Caller) -> None:
    found = auditor.get("audit/status").body
    waiting = found["waiting"]
    assert found["size"] == found["signed"] > 20
    assert found["keys"] == [key(log)]
    assert found["sequencing"] is False
    log.run()
    found = auditor.get("audit/status").body
    assert found["waiting"] == waiting + 8
    assert found["lag_s"] > 0


def finished(log: History, auditor: Caller, **asked: object) -> str:
    started = auditor.post("audit/exports", asked)
    assert (started.status, started.body["state"]) == (200, "waiting"), started
    [job] = [
        each for each in selectors.exports(log.workspace) if str(each.id) == started.body["id"]
    ]
    exports.make_export(log.workspace, job.id)
    return str(job.id)


def download(caller: Caller, path: str) -> bytes:
    answer = caller.client.get(
        f"{ROOT}/{path}", headers={"Authorization": f"Bearer {caller.token}"}
    )
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def test_an_export_is_started_followed_and_downloaded(
    log: History, auditor: Caller, tmp_path: Path
) -> None:
    job = finished(log, auditor)
    found = auditor.get(f"audit/exports/{job}").body
    assert (found["state"], found["done"]) == ("done", found["total"])
    assert auditor.get("audit/exports").body["items"] == [found]
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(download(auditor, f"audit/exports/{job}/download"))
    assert verifier.main([str(bundle), "--key", key(log)]) == 0
    assert download(auditor, f"audit/exports/{job}/download?form=csv").startswith(CSV_START)
    assert b"Audit report" in download(auditor, f"audit/exports/{job}/download?form=report")
    assert auditor.get(f"audit/exports/{job}/download", form="exe").status == 422
    entries = selectors.entries(
        log.workspace, selectors.Filters(actions=("export.requested", "export.downloaded"))
    ).entries
    assert [entry.action for entry in entries] == ["export.downloaded"] * 3 + ["export.requested"]
    assert {entry.actor_type for entry in entries} == {"service"}


def test_what_an_export_covers(log: History, auditor: Caller) -> None:
    entries = selectors.entries(log.workspace).entries
    run = next(entry.run_id for entry in entries if entry.action == "run.ended")
    since = next(entry.time for entry in entries if entry.action == "run.started")
    for asked in (
        {"kind": "range", "first": 3, "end": 9, "payloads": True},
        {"kind": "range", "since": since.isoformat()},
        {"kind": "run", "run": str(run)},
        {"kind": "search", "search": {"actor": BOB.id}, "sizes": [3]},
    ):
        job = finished(log, auditor, **asked)
        found = auditor.get(f"audit/exports/{job}").body
        assert found["state"] == "done", found
        assert found["scope"]["kind"] == asked["kind"]
    for wrong, status in (
        ({"kind": "all"}, 422),
        ({"kind": "range"}, 422),
        ({"kind": "range", "first": 9, "end": 3}, 422),
        ({"kind": "run"}, 422),
        ({"run": str(run)}, 422),
        ({"kind": "search"}, 422),
        ({"kind": "search", "search": {"aktor": "bob"}}, 422),
        ({"sizes": [0]}, 422),
        ({"kind": "range", "since": "2036-01-01T00:00:00Z"}, 409),
    ):
        assert auditor.post("audit/exports", wrong).status == status, wrong
    job = finished(log, auditor, kind="range", first=5, end=5000)
    assert auditor.get(f"audit/exports/{job}").body["state"] == "failed"
    assert auditor.get(f"audit/exports/{job}/download").code == "nothing_to_download"


def test_another_workspace_gets_no_export(log: History, auditor: Caller, stranger: Caller) -> None:
    job = finished(log, auditor)
    assert stranger.get(f"audit/exports/{job}").status == 404
    assert stranger.get(f"audit/exports/{job}/download").status == 404
    assert stranger.get("audit/exports").body["items"] == []


def test_a_check_is_started_once_and_its_result_read(
    log: History, auditor: Caller, stranger: Caller
) -> None:
    started = auditor.send("POST", "audit/verifications").body
    assert auditor.send("POST", "audit/verifications").body["id"] == started["id"]
    [wanted] = selectors.verifications(log.workspace)
    verification.run_verification(log.workspace, wanted.id)
    found = auditor.get(f"audit/verifications/{started['id']}").body
    assert (found["state"], found["found"], found["findings"]) == ("done", 0, [])
    assert stranger.get(f"audit/verifications/{started['id']}").status == 404


async def read(caller: Caller, path: str) -> list[bytes]:
    answer = await AsyncClient().get(
        f"{ROOT}/{path}", headers={"Authorization": f"Bearer {caller.token}"}
    )
    return [chunk async for chunk in answer.streaming_content]  # type: ignore[attr-defined]


def test_under_asgi_a_download_leaves_in_pieces(
    log: History, auditor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asgiref.sync import async_to_sync

    job = finished(log, auditor)
    monkeypatch.setattr(exports, "CHUNK", 1000)
    pieces = async_to_sync(read)(auditor, f"audit/exports/{job}/download")
    assert len(pieces) > 10
    assert max(map(len, pieces)) == 1000
    assert b"".join(pieces) == (exports.directory() / f"{job}.zip").read_bytes()
