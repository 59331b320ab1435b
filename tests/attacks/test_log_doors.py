"""What somebody tries at the doors of the log: strangers, members without the role, tricks.

A stranger to the workspace sees 404 everywhere. A member who is no auditor gets nothing, and the
attempt to take content out stands in the log. No address and no row makes a download give another
file than the export's own.
"""

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from audit import exports, selectors
from audit.models import Export
from audit.transactions import in_workspace
from countersign.accounts.models import User
from tests.audit.history import History
from tests.countersign.accounts.cast import Cast


@pytest.fixture
def home(tmp_path: Path, settings: LazySettings) -> Path:
    """A home of the test's own, before anything is sealed with its keys."""
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def log(home: Path, committing_cast: Cast) -> History:
    User.objects.update(must_change_password=False)
    history = History(committing_cast.acme.id)
    history.run(payload="secret goal")
    history.sign()
    return history


@pytest.fixture
def job(log: History) -> Export:
    """A finished export with payloads."""
    path = log.export(payloads=True)
    [found] = selectors.exports(log.workspace)
    assert exports.file_of(found) == path
    return found


def person(username: str) -> Client:
    client = Client()
    client.force_login(
        User.objects.get(username=username), "django.contrib.auth.backends.ModelBackend"
    )
    return client


def addresses(log: History, job: Export, slug: str) -> list[tuple[str, str]]:
    [entry] = selectors.entries(log.workspace, limit=1).entries
    size = job.total
    named: dict[str, list[object]] = {
        "audit_entry": [entry.id],
        "audit_proof": [entry.id],
        "audit_checkpoint": [size],
        "audit_export": [job.id],
        "audit_download": [job.id, "bundle"],
    }
    found = [
        ("GET", reverse(f"console:{name}", args=[slug, *args])) for name, args in named.items()
    ]
    found += [
        ("POST", reverse("console:audit_payload", args=[slug, entry.id])),
        ("POST", reverse("console:audit_export_again", args=[slug, job.id])),
    ]
    return found


def test_another_workspaces_log_is_not_there(log: History, job: Export) -> None:
    mallory = person("mallory")
    for slug in ("acme", "other"):
        for method, address in addresses(log, job, slug):
            answer = mallory.generic(method, address)
            # The checkpoint's size could be one of her own tree, which has none.
            assert answer.status_code == 404, (method, address)
    assert mallory.post("/w/acme/audit/exports/", {"kind": "workspace"}).status_code == 404
    assert len(selectors.exports(log.workspace)) == 1


@pytest.mark.parametrize("username", ["alice", "bob", "carol", "ada"])
def test_who_is_no_auditor_takes_nothing_out_and_stands_in_the_log(
    log: History, job: Export, username: str
) -> None:
    client = person(username)
    for method, address in addresses(log, job, "acme"):
        answer = client.generic(method, address)
        assert answer.status_code == 403, (method, address)
        assert b"secret goal" not in answer.content
    assert client.post("/w/acme/audit/exports/", {"kind": "workspace"}).status_code == 403
    assert len(selectors.exports(log.workspace)) == 1
    refused = selectors.Filters(actions=("export.refused", "payload.refused"))
    found = selectors.entries(log.workspace, refused).entries
    assert sorted(entry.action for entry in found) == ["export.refused"] * 3 + ["payload.refused"]
    assert {entry.actor_name for entry in found} == {username.capitalize()}
    viewed = selectors.Filters(actions=("payload.viewed", "export.downloaded"))
    assert selectors.entries(log.workspace, viewed).entries == []


TRICKS = (
    "../../keys/log-signing.key",
    "..%2f..%2fkeys%2flog-signing.key",
    "entries.jsonl",
    "state.json",
    "bundle%00",
    "bundle%0d%0aSet-Cookie:x=1",
    "manifest",
    "",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_no_address_gives_another_file(log: History, job: Export, trick: str) -> None:
    answer = person("dan").get(f"/w/acme/audit/exports/{job.id}/{trick}")
    assert answer.status_code in (200, 301, 404)
    assert "Content-Disposition" not in answer.headers
    assert "Set-Cookie" not in answer.headers or "x=1" not in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("name", ["../keys/log-signing.key", "/etc/passwd", "x\r\nSet-Cookie: y"])
def test_a_changed_row_gives_no_other_file(log: History, job: Export, name: str) -> None:
    with in_workspace(log.workspace):
        Export.objects.filter(id=job.id).update(file=name, requester_name=name)
    answer = person("dan").get(f"/w/acme/audit/exports/{job.id}/bundle/")
    assert b"".join(answer.streaming_content) == exports.file_of(job).read_bytes()  # type: ignore[attr-defined]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="countersign-2')
    assert "\n" not in answer.headers["Content-Disposition"]


def test_text_of_strangers_in_the_search_is_text(log: History) -> None:
    dan = person("dan")
    for query in (
        "text=%3Cscript%3Ealert(1)%3C/script%3E",
        "actor=%25%27%20OR%201=1--",
        "text=%27)%20OR%20true--",
        "tool=%5C%22&outcome=refused",
        "action=group:..&outcome=",
        "text=%F0%9F%98%80&after=AAAA",
        "text=%00",
        "after=" + "A" * 500,
    ):
        answer = dan.get(f"/w/acme/audit/?{query}")
        assert answer.status_code == 200, query
        assert b"<script>alert" not in answer.content
    everything = len(selectors.entries(log.workspace).entries)
    injected = dan.get("/w/acme/audit/?actor=%27%20OR%20true--").content.decode()
    assert everything > 0
    assert injected.count("<tr>") == 0


def test_a_refusal_is_committed_with_its_subject(log: History, job: Export) -> None:
    person("alice").get(f"/w/acme/audit/exports/{job.id}/bundle/")
    [entry] = selectors.entries(
        log.workspace, selectors.Filters(actions=("export.refused",))
    ).entries
    leaf = json.loads(bytes(entry.leaf))
    assert leaf["subject"] == {"type": "export", "id": str(job.id)}
    assert leaf["detail"] == {"reason": "role"}
