"""An auditor searches the log, looks at an entry and its proof, and takes an export away."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.test import Client

from audit import anchoring, exports, selectors, signing
from audit.anchors.file import FileAnchor
from audit.models import AnchorState, Entry, Export
from audit.removal import remove_due
from audit.sequencer import Sequencer
from audit.services import Draft, Subject
from audit.tasks import CLOCK
from audit.transactions import PLATFORM, in_workspace
from audit.verifier import countersign_verify as verifier
from countersign.accounts.models import User
from countersign.console import logbook, proof_drawing
from countersign.console.logbook import Logbook
from policies import selectors as policies
from policies.models import PolicyVersion
from tests.audit.history import AGENT, ALICE, History, take_lock
from tests.audit.witnesses import running_witness
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.test_runs import text


@pytest.fixture
def home(tmp_path: Path, settings: LazySettings) -> Path:
    """A home of the test's own, before anything is sealed with its keys."""
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def log(home: Path, committing_cast: Cast) -> History:
    """Acme's log: two runs, placed and signed."""
    User.objects.update(must_change_password=False)
    history = History(committing_cast.acme.id)
    history.run(review=True, payload="<b>pay</b> Kessler")
    refused = {"action": "call:pay", "step": 2, "call": 0, "outcome": "deny"}
    run = history.run(end=False)
    history.record(Draft("decision.made", AGENT, Subject("decision", "d"), run=run, detail=refused))
    history.sign()
    return history


@pytest.fixture
def dan(log: History) -> Client:
    client = Client()
    client.force_login(
        User.objects.get(username="dan"), "django.contrib.auth.backends.ModelBackend"
    )
    return client


def get(client: Client, path: str) -> str:
    response = client.get(f"/w/acme/audit/{path}")
    assert response.status_code == 200, path
    return text(response.content.decode())


def rows(client: Client, query: str) -> int:
    return client.get(f"/w/acme/audit/?{query}").content.decode().count("<tr>") - 1


def recorded(log: History, action: str) -> list[Entry]:
    return selectors.entries(log.workspace, selectors.Filters(actions=(action,))).entries


def test_people_tools_and_outcomes_are_found_by_their_names(log: History, dan: Client) -> None:
    page = get(dan, "?actor=bob")
    assert "Bob signed the request" in page
    assert rows(dan, "actor=bob") == 1
    assert rows(dan, "actor=Accounts") > 5
    assert rows(dan, "tool=pay&outcome=refused") == 1
    assert "✕ refused by policy" in get(dan, "?outcome=refused")
    assert rows(dan, "action=group:Approvals+and+signatures") == 5
    assert "No entry matches." in get(dan, "?action=group:Kill+switches")
    assert "No entry matches." in get(dan, "?actor=Nobody")
    everything = get(dan, "")
    for said in (
        "is about to call pay",
        "Alice needs signatures",
        "was judged by the policy: call pay",
    ):
        assert said in everything


def test_a_search_of_words_says_how_far_it_looked(
    log: History, dan: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.search.WINDOW", 10)
    monkeypatch.setattr("audit.selectors.MAX_PAGE", 5)
    page = get(dan, "?text=zebra")
    assert "Nothing found back to" in page
    assert "Look further back" in page


def test_days_bound_the_search(log: History, dan: Client) -> None:
    today = datetime.now(UTC).date()
    assert rows(dan, f"since={today}&until={today}&actor=bob") == 1
    assert "No entry matches." in get(dan, f"?until={today - timedelta(days=1)}")


def test_an_entry_shows_its_place_and_the_way_to_the_signed_root(log: History, dan: Client) -> None:
    [entry] = recorded(log, "vote.cast")[:1]
    page = get(dan, f"{entry.id}/")
    found = selectors.inclusion(log.workspace, entry.id)
    assert found is not None
    assert f"position {found.position} in the tree" in page
    assert f"entry {entry.run_seq} of its run" in page
    assert bytes(found.checkpoint.root).hex() in page
    assert str(signing.verifier_keys(log.workspace)[0]) in page
    assert all(node.hex() in page for node in found.path)
    assert "No anchor is configured." in page
    picture = dan.get(f"/w/acme/audit/{entry.id}/").content.decode()
    assert picture.count("<rect") == 2 * len(found.path) + 1


def test_an_entry_says_in_words_what_a_hash_is_of(log: History, dan: Client) -> None:
    active = policies.active_policy(log.workspace)
    with in_workspace(log.workspace):
        digest = PolicyVersion.objects.get(id=active.version_id).digest
    seats = [{"role": "reviewer:finance", "count": 2}, {"role": "policy_officer", "count": 1}]
    [decided, asked] = log.record(
        Draft(
            "decision.made",
            AGENT,
            Subject("decision", "d"),
            detail={"action": "release", "outcome": "allow", "policy": digest, "rules": []},
        ),
        Draft(
            "approval.requested",
            ALICE,
            Subject("approval_request", str(uuid4())),
            detail={
                "policy_version": str(active.version_id),
                "binding": "ab" * 32,
                "requirement": seats,
                "request": "no hash, and thirty-six characters lo",
            },
        ),
    )
    page = dan.get(f"/w/acme/audit/{decided.id}/").content.decode()
    short = f'<span class="mono faint" title="sha256:{digest}">sha256:{digest[:12]}…</span>'
    version = f'<a href="/w/acme/policies/v{active.number}/">version {active.number}</a>'
    assert f"<dt>Policy</dt><dd>{version} {short}</dd>" in page
    assert "<dt>Rules</dt><dd>none</dd>" in page
    page = dan.get(f"/w/acme/audit/{asked.id}/").content.decode()
    assert f"<dt>Policy version</dt><dd>{version}</dd>" in page
    assert "all that a signature binds <span" in page
    assert f"{'ab' * 6}…</span>" in page
    assert "2 signatures of reviewer: finance, 1 signature of policy officer" in page
    assert "no hash, and thirty-six characters lo" in page


def test_an_entry_says_what_it_waits_for(log: History, dan: Client, vault: Path) -> None:
    [entry] = log.record(Draft("note.taken", AGENT, Subject("note", "1")))
    waiting = get(dan, f"{entry.id}/")
    assert "It waits for its place in the tree" in waiting
    assert "No sequencer is at work" in waiting
    log.place()
    assert "not under a signed checkpoint yet" in get(dan, f"{entry.id}/")
    log.sign()
    assert "Nobody else is asked to see it" in get(dan, f"{entry.id}/")
    anchoring.submit_due("sequencer", [FileAnchor("vault", str(vault))])
    held = get(dan, f"{entry.id}/")
    assert "A copy lies in a folder, and nobody else has seen it" in held
    assert "vault (write-once folder) since" in held
    keys = [*signing.verifier_keys(log.workspace), *signing.verifier_keys(PLATFORM)]
    with running_witness(vault / "witness", keys) as witness:
        anchoring.submit_due("sequencer", [witness])
    assert "Somebody else has seen it" in get(dan, f"{entry.id}/")


def test_the_proof_is_a_file_that_the_verifier_accepts(
    log: History, dan: Client, tmp_path: Path
) -> None:
    [entry] = recorded(log, "approval.consumed")
    answer = dan.get(f"/w/acme/audit/{entry.id}/proof/")
    assert answer.headers["Content-Disposition"].endswith(f'"entry-{entry.id}.proof.json"')
    file = tmp_path / "proof.json"
    file.write_bytes(answer.content)
    key = str(signing.verifier_keys(log.workspace)[0])
    assert verifier.main([str(file), "--key", key]) == 0
    program = dan.get("/w/acme/audit/verifier/").content
    assert program == Path(verifier.__file__).read_bytes()


def test_a_payload_is_masked_until_somebody_asks_and_is_named(log: History, dan: Client) -> None:
    entry = recorded(log, "run.started")[-1]
    assert "Kessler" not in get(dan, f"{entry.id}/")
    assert dan.get(f"/w/acme/audit/{entry.id}/payload/").status_code == 405
    assert recorded(log, "payload.viewed") == []
    answer = dan.post(f"/w/acme/audit/{entry.id}/payload/", {"name": "goal"})
    assert "&lt;b&gt;pay&lt;/b&gt; Kessler" in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    [viewed] = recorded(log, "payload.viewed")
    assert viewed.actor_name == "Dan"
    gone = dan.post(f"/w/acme/audit/{entry.id}/payload/", {"name": "other"}, follow=True)
    assert "is gone" in text(gone.content.decode())


def start(dan: Client, **given: str) -> UUID:
    answer = dan.post("/w/acme/audit/exports/", given)
    assert answer.status_code == 302, text(answer.content.decode())
    return UUID(answer.headers["Location"].rstrip("/").rsplit("/", 1)[1])


def body(answer: object) -> bytes:
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def test_an_export_is_asked_for_followed_and_taken_away(
    log: History, dan: Client, tmp_path: Path
) -> None:
    assert "Nothing was exported yet." in get(dan, "exports/")
    job = start(dan, kind="workspace")
    page = dan.get(f"/w/acme/audit/exports/{job}/").content.decode()
    assert "waits for a worker" in page
    assert "hx-trigger" in page
    exports.make_export(log.workspace, job)
    done = get(dan, f"exports/{job}/?live")
    assert "✓ ready" in done
    assert "hx-trigger" not in done

    bundle = dan.get(f"/w/acme/audit/exports/{job}/bundle/")
    data = body(bundle)
    assert int(bundle.headers["Content-Length"]) == len(data)
    file = tmp_path / "bundle.zip"
    file.write_bytes(data)
    key = str(signing.verifier_keys(log.workspace)[0])
    assert verifier.main([str(file), "--key", key]) == 0

    table = dan.get(f"/w/acme/audit/exports/{job}/csv/")
    assert table.headers["Content-Disposition"].endswith('.csv"')
    lines = list(csv.reader(body(table).decode().splitlines()))
    [made] = recorded(log, "export.made")
    assert len(lines) - 1 == json.loads(bytes(made.leaf))["detail"]["entries"]
    assert b"<h1>Audit report</h1>" in body(dan.get(f"/w/acme/audit/exports/{job}/report/"))

    said = [json.loads(bytes(e.leaf))["detail"] for e in recorded(log, "export.downloaded")]
    assert [each["form"] for each in said] == ["report", "csv", "bundle"]
    [asked] = recorded(log, "export.requested")
    assert asked.actor_name == "Dan"


def test_days_a_run_and_a_search_are_exported(log: History, dan: Client) -> None:
    today = datetime.now(UTC).date()
    run = next(e.run_id for e in recorded(log, "run.ended"))
    query = "outcome=refused&tool=pay"
    assert "The search you came from" in get(dan, f"exports/?{query}")
    for given, covers, shown in (
        ({"kind": "range", "since": str(today)}, f"from {today}: positions 0 to", None),
        ({"kind": "run", "run": str(run)[:8]}, f"run {str(run)[:8]}", 13),
        ({"kind": "search", "search": query}, "a search: tool pay, outcome refused", 1),
    ):
        job = start(dan, **given)
        assert exports.make_export(log.workspace, job)
        page = get(dan, f"exports/{job}/")
        assert "✓ ready" in page
        assert covers in page
        made = json.loads(bytes(recorded(log, "export.made")[0].leaf))["detail"]
        if shown is not None:
            assert made["entries"] == shown
        found = selectors.export(log.workspace, job)
        assert found is not None
        assert log.verify(exports.file_of(found), "--allow-open") == 0


def test_a_part_of_the_log_is_proved_to_have_grown_out_of_what_was_kept(
    log: History, dan: Client, tmp_path: Path
) -> None:
    first = selectors.checkpoint(log.workspace)
    assert first is not None
    kept = tmp_path / "kept"
    kept.write_bytes(dan.get(f"/w/acme/audit/checkpoints/{first.size}/").content)
    log.run()
    run = log.run()
    log.sign()
    for given, status in (("", verifier.NUMBER["consistency"]), (f"{first.size}, 3", 0)):
        job = start(dan, kind="run", run=str(run), sizes=given)
        assert exports.make_export(log.workspace, job)
        found = selectors.export(log.workspace, job)
        assert found is not None
        assert log.verify(exports.file_of(found), "--seen", str(kept)) == status


def test_what_cannot_be_exported_is_said_at_the_form(log: History, dan: Client) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    for given, said in (
        ({"kind": "run"}, "Say which run."),
        ({"kind": "run", "run": "deadbeef"}, "there is no such run in the log"),
        ({"kind": "range"}, "Say from which day"),
        ({"kind": "range", "since": str(tomorrow)}, "nothing of that time"),
        ({"kind": "workspace", "sizes": "812; x"}, "Give whole numbers"),
        ({"kind": "everything"}, "everything is not one of the available choices"),
    ):
        answer = dan.post("/w/acme/audit/exports/", given)
        assert said in text(answer.content.decode())
    assert selectors.exports(log.workspace) == []


def test_an_export_that_failed_goes_on_where_it_stopped(
    log: History, dan: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(dan, kind="workspace", payloads="on")

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("audit.export.spool.Spool.pack", full)
        exports.make_export(log.workspace, job)
    page = get(dan, f"exports/{job}/")
    assert "No space left on device" in page
    assert (exports.directory() / f"{job}.part" / "entries.jsonl").stat().st_size > 0
    nothing = dan.get(f"/w/acme/audit/exports/{job}/bundle/", follow=True)
    assert "the export is not finished" in text(nothing.content.decode())
    dan.post(f"/w/acme/audit/exports/{job}/again/")
    assert exports.make_export(log.workspace, job)
    assert "✓ ready" in get(dan, f"exports/{job}/")
    again = dan.post(f"/w/acme/audit/exports/{job}/again/", follow=True)
    assert "has not failed" in text(again.content.decode())
    assert len(recorded(log, "export.retried")) == 1


def test_a_file_that_is_gone_is_said(log: History, dan: Client) -> None:
    job = start(dan, kind="workspace")
    exports.make_export(log.workspace, job)
    with in_workspace(log.workspace):
        exports.file_of(Export.objects.get(id=job)).unlink()
    assert "The file is not on this server" in get(dan, f"exports/{job}/")
    answer = dan.get(f"/w/acme/audit/exports/{job}/csv/", follow=True)
    assert "not on this server any more" in text(answer.content.decode())
    assert recorded(log, "export.downloaded") == []


def test_checkpoints_and_anchors_say_how_they_are(
    log: History, dan: Client, tmp_path: Path, vault: Path, settings: LazySettings
) -> None:
    page = get(dan, "checkpoints/")
    assert "No anchor is configured." in page
    assert "No sequencer is at work." in page
    settings.COUNTERSIGN_AUDIT_ANCHORS = [
        {"kind": "file", "name": "vault", "path": str(vault)},
        {"kind": "rfc3161", "name": "authority", "url": "http://127.0.0.1:9/"},
        {"kind": "file", "name": "new", "path": str(tmp_path / "new")},
    ]
    anchoring.submit_due("sequencer", [FileAnchor("vault", str(vault))])
    with in_workspace(log.workspace):
        state = AnchorState.objects.get(anchor="vault")
    state.id, state.anchor, state.size = UUID(int=7), "authority", 0
    state.succeeded_at, state.failures, state.error = None, 4, "connection refused"
    state.save(using="sequencer", force_insert=True)
    page = get(dan, "checkpoints/")
    for said in ("✓ well", "! does not answer", "connection refused (4 times)", "not tried yet"):
        assert said in page
    settings.COUNTERSIGN_AUDIT_ANCHORS = [{"kind": "carrier pigeon", "name": "x"}]
    assert "cannot be used" in get(dan, "checkpoints/")
    latest = selectors.checkpoint(log.workspace)
    assert latest is not None
    note = dan.get(f"/w/acme/audit/checkpoints/{latest.size}/")
    assert note.content.decode() == latest.note
    assert verifier.Checkpoint.parse(note.content.decode()).size == latest.size


def test_the_overview_says_when_nothing_signs_or_an_anchor_contradicts(
    log: History, dan: Client, vault: Path
) -> None:
    def overview() -> str:
        return text(dan.get("/w/acme/").content.decode())

    assert "Nothing signs the log" in overview()
    sequencer = Sequencer("sequencer")
    take_lock(sequencer)
    try:
        assert "The log is written and signed" in overview()
        anchoring.submit_due("sequencer", [FileAnchor("vault", str(vault))])
        with in_workspace(log.workspace):
            state = AnchorState.objects.get(anchor="vault")
        state.failures, state.succeeded_at = 9, state.attempted_at - timedelta(hours=2)
        state.save(using="sequencer")
        assert "No answer from vault" in overview()
        state.refused = True
        state.save(using="sequencer")
        assert "vault holds another history of the log" in overview()
        assert "contradicts this log" in get(dan, "checkpoints/")
    finally:
        sequencer.unlock()


def test_a_check_that_is_under_way_is_not_started_twice(log: History, dan: Client) -> None:
    first = dan.post("/w/acme/audit/verify/").headers["Location"]
    assert dan.post("/w/acme/audit/verify/").headers["Location"] == first
    assert len(selectors.verifications(log.workspace)) == 1


def test_every_action_has_words(log: History) -> None:
    body = {"subject": {"type": "x", "id": "1"}, "detail": {}}
    for action in logbook.PHRASES:
        assert logbook.phrase(action, body)
        assert logbook.group_of(action) != logbook.OTHER, action
    assert logbook.phrase("new_thing.has_happened", body) == "new thing: has happened"
    assert logbook.group_of("new_thing.has_happened") == logbook.OTHER
    for line in Logbook("acme").lines(selectors.entries(log.workspace).entries):
        assert "…" not in line.sentence


@pytest.mark.parametrize("count", [1, 6, 7, 20, 40])
def test_a_proof_of_any_length_is_drawn_within_its_picture(count: int) -> None:
    from audit.selectors import ProofStep

    steps = [
        ProofStep(bytes([i] * 32), bytes(32), bool(i % 2), bytes([i + 1] * 32))
        for i in range(count)
    ]
    found = proof_drawing.draw(steps)
    assert found is not None
    assert found.boxes[0].kind == "leaf"
    assert [box.kind for box in found.boxes].count("root") == 1
    assert found.left_out == (0 if count <= proof_drawing.MOST_DRAWN else count - 5)
    for box in found.boxes:
        assert box.left >= 0
        assert box.left + found.box_width <= found.width
        assert box.top >= 0
        assert box.top + found.box_height <= found.height
    assert proof_drawing.draw([]) is None


def test_an_export_says_until_when_it_is_kept_and_is_made_again(log: History, dan: Client) -> None:
    dan.post("/w/acme/audit/exports/", {"kind": "workspace"})
    [job] = selectors.exports(log.workspace)
    exports.make_export(log.workspace, job.id)
    assert "kept until" in get(dan, f"exports/{job.id}/")
    with in_workspace(log.workspace):
        Export.objects.update(finished_at=datetime.now(UTC) - timedelta(days=400))
    assert remove_due(CLOCK) == 1
    page = get(dan, f"exports/{job.id}/")
    assert "files of exports are kept for 30 days" in page
    assert "Make it again" in page
    assert "file removed" in get(dan, "exports/")
    refused = dan.get(f"/w/acme/audit/exports/{job.id}/bundle/", follow=True)
    assert "start a new one" in refused.content.decode()
    answer = dan.post(f"/w/acme/audit/exports/{job.id}/again/")
    [new, _] = selectors.exports(log.workspace)
    assert answer.headers["Location"] == f"/w/acme/audit/exports/{new.id}/"
    assert new.scope == job.scope
