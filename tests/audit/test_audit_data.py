"""The command by which an officer's decisions on people's data are carried out."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit import canonical
from audit.models import Entry, Payload
from audit.services import Draft, Subject
from audit.transactions import in_workspace
from tests.audit.history import ALICE, History
from tests.countersign.accounts.cast import make_cast
from tests.harness.server import Clone

PERSON = "user:5f0c9f5e-62c1-4b7e-9c39-0d8a6f1b2c3d"


@pytest.fixture
def history(home: Path, committing_database: Clone) -> History:
    cast = make_cast()
    found = History(cast.acme.id)
    draft = Draft(
        "note.taken", ALICE, Subject("note", "1"), payloads={"text": "x"}, data_subject=PERSON
    )
    found.record(draft)
    return found


def ask(history: History, act: str, *more: str, by: str = "carol@example.org") -> str:
    out = StringIO()
    who = [] if act == "show" else ["--as", by]
    call_command("audit_data", act, str(history.workspace), *more, *who, stdout=out)
    return out.getvalue()


def last(history: History) -> dict[str, canonical.JSON]:
    with in_workspace(history.workspace):
        entry = Entry.objects.order_by("-number").first()
    assert entry is not None
    return dict(canonical.decode(bytes(entry.leaf)))


def kept(history: History) -> int:
    with in_workspace(history.workspace):
        return Payload.objects.filter(key__data_subject=PERSON).count()


def test_an_erasure_leaves_a_certificate_and_says_for_whom(
    history: History, tmp_path: Path
) -> None:
    target = tmp_path / "certificate.json"
    said = ask(history, "erase", PERSON, "--basis", "Art. 17", "--certificate", str(target))
    assert kept(history) == 0
    assert json.loads(said) == json.loads(target.read_text())
    assert json.loads(said)["subject"] == PERSON
    entry = last(history)
    assert (entry["action"], entry["actor"]["type"]) == ("subject.erased", "system")
    assert entry["on_behalf_of"]["name"] == "Carol"
    with pytest.raises(CommandError, match="nothing is kept under"):
        ask(history, "erase", PERSON, "--basis", "Art. 17")


def test_a_hold_is_set_shown_and_lifted(history: History) -> None:
    hold = ask(history, "hold", PERSON, "--reason", "case 7").split()[0]
    assert last(history)["on_behalf_of"]["name"] == "Carol"
    with pytest.raises(CommandError, match="case 7"):
        ask(history, "erase", PERSON, "--basis", "Art. 17")
    assert kept(history) == 1
    assert hold in ask(history, "show")
    assert ask(history, "lift", hold) == "Lifted.\n"
    assert last(history)["action"] == "hold.lifted"
    with pytest.raises(CommandError, match="no hold"):
        ask(history, "lift", hold)


def test_how_long_payloads_are_kept(history: History) -> None:
    assert "kept for ever" in ask(history, "show")
    with pytest.raises(CommandError, match="at least 183"):
        ask(history, "keep", "30")
    ask(history, "keep", "200")
    assert "kept 200 days" in ask(history, "show")
    assert last(history)["action"] == "retention.changed"


def test_an_unknown_person_or_workspace_changes_nothing(history: History) -> None:
    with pytest.raises(CommandError, match="no active person"):
        ask(history, "erase", PERSON, "--basis", "x", by="nobody@example.org")
    with pytest.raises(CommandError, match="no workspace"):
        call_command("audit_data", "show", "nowhere")
    assert kept(history) == 1
