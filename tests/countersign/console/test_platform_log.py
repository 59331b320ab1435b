"""The platform's own log has the pages of a workspace's, for whom the settings name."""

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from audit import exports, selectors, signing
from audit.services import Actor, Draft, Subject
from audit.transactions import PLATFORM
from audit.verification import run_verification
from countersign.accounts.errors import InvalidPerson
from countersign.accounts.models import User
from countersign.accounts.services import PersonDraft, member_propose, workspace_create
from tests.audit.history import History, verify_twice
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.console.test_runs import text


@pytest.fixture
def log(settings: LazySettings, tmp_path: Path, committing_cast: Cast) -> History:
    """The platform's log: a log-in, a checkpoint of Acme's."""
    settings.COUNTERSIGN_PLATFORM_AUDITORS = ["dan"]
    User.objects.update(must_change_password=False)
    History(committing_cast.acme.id).sign()
    history = History(PLATFORM)
    alice = committing_cast.user("alice")
    actor = Actor("user", str(alice.id), alice.name)
    history.record(Draft("login.succeeded", actor, Subject("user", actor.id)))
    history.sign()
    return history


def browser(username: str) -> Client:
    client = Client()
    client.force_login(
        User.objects.get(username=username), "django.contrib.auth.backends.ModelBackend"
    )
    return client


def get(client: Client, path: str) -> str:
    answer = client.get(f"/w/platform/audit/{path}")
    assert answer.status_code == 200, path
    return text(answer.content.decode())


def test_it_is_searched_and_told_with_names(log: History) -> None:
    dan = browser("dan")
    page = get(dan, "")
    assert "Alice logged in" in page
    assert "the log of Acme" in page
    assert "installation outside of its workspaces" in page
    assert "was made" not in page  # Acme's own entries are Acme's
    assert "No entry matches." in get(dan, "?actor=Alice&action=migration.started")
    [entry] = selectors.entries(
        None, selectors.Filters(actions=("login.succeeded",)), limit=1
    ).entries
    assert "in the tree" in get(dan, f"{entry.id}/")
    assert "Checkpoint" in get(dan, "checkpoints/")


def test_its_page_offers_nothing_that_only_workspaces_have(log: History) -> None:
    dan = browser("dan")
    page = dan.get("/w/platform/audit/").content.decode()
    assert 'href="/w/platform/runs/"' not in page
    assert dan.get("/w/platform/").headers["Location"] == "/w/platform/audit/"
    for path in ("", "/w/acme/"):
        assert "Log of this installation" in dan.get(path or "/").content.decode()
    assert "Log of this installation" not in browser("ada").get("/w/acme/").content.decode()


def test_it_is_verified_and_exported(log: History) -> None:
    dan = browser("dan")
    dan.post("/w/platform/audit/verify/")
    [run] = selectors.verifications(None)
    run_verification(None, run.id)
    assert "whole" in get(dan, "")
    dan.post("/w/platform/audit/exports/", {"kind": "workspace"})
    [job] = selectors.exports(None)
    assert exports.make_export(PLATFORM, job.id)
    answer = dan.get(f"/w/platform/audit/exports/{job.id}/bundle/")
    assert answer.status_code == 200
    bundle = exports.file_of(job)
    assert b"".join(answer.streaming_content) == bundle.read_bytes()  # type: ignore[attr-defined]
    assert verify_twice(bundle, str(signing.verifier_keys(PLATFORM)[0]), "--allow-open") == 0
    [taken] = selectors.entries(None, selectors.Filters(actions=("export.downloaded",))).entries
    assert taken.actor_name == "Dan"
    assert json.loads(bytes(taken.leaf))["workspace"] == str(PLATFORM)


def test_nobody_makes_an_account_under_a_name_of_the_settings(
    cast: Cast, settings: LazySettings
) -> None:
    settings.COUNTERSIGN_PLATFORM_AUDITORS = ["Eve"]
    eve = PersonDraft("eve", "Eve", "eve@example.org", ["operator"])
    with pytest.raises(InvalidPerson, match="COUNTERSIGN_PLATFORM_AUDITORS"):
        member_propose(workspace_id=cast.acme.id, actor=cast.actor("ada"), person=eve, now=NOW)


def test_no_workspace_takes_the_name_of_the_platform(cast: Cast) -> None:
    with pytest.raises(InvalidPerson, match="the installation itself"):
        workspace_create(name="Platform", slug="platform")
