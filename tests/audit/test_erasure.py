"""Erasure: the person's payloads go, every proof stays, and nobody can erase unseen."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import canonical, erasure, signing
from audit.errors import RetentionTooShort, UnderHold
from audit.models import Entry, Payload, SubjectKey
from audit.services import Draft, Recorded, Subject
from audit.transactions import in_workspace
from audit.verify import verify_log
from tests.audit.history import ALICE, CAROL, History

PERSON = f"user:{uuid4()}"


def say(history: History, text: str, about: str = PERSON) -> Recorded:
    draft = Draft(
        "note.taken", ALICE, Subject("note", "1"), payloads={"text": text}, data_subject=about
    )
    return history.record(draft)[0]


def test_erasure_keeps_every_proof(history: History, tmp_path: Path) -> None:
    first = say(history, "born 1970")
    other = say(history, "someone else", "user:other")
    kept = tmp_path / "kept"
    kept.write_text(history.sign().note)
    before = history.export()
    earlier = tmp_path / "earlier.zip"
    earlier.write_bytes(before.read_bytes())

    certificate = erasure.erase_subject(
        history.workspace, PERSON, actor=CAROL, basis="GDPR Art. 17(1)(b)"
    )

    with in_workspace(history.workspace):
        assert not SubjectKey.objects.filter(data_subject=PERSON).exists()
        assert list(Payload.objects.values_list("entry_id", flat=True)) == [other.id]
    assert certificate.body["payloads"] == [{"entry": str(first.id), "name": "text"}]
    history.sign()
    after = history.export()
    assert history.verify(after, "--seen", str(kept)) == 0
    assert history.verify(earlier, "--seen", str(kept)) == 0
    assert verify_log(history.workspace, open_payloads=True).clean
    assert b"born" not in after.read_bytes()


def test_the_certificate_is_signed_and_its_entry_names_the_keys(history: History) -> None:
    say(history, "x")
    with in_workspace(history.workspace):
        key = SubjectKey.objects.get(data_subject=PERSON)
    certificate = erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")
    public = Ed25519PublicKey.from_public_bytes(signing.current_signer().public)
    public.verify(certificate.signature, canonical.encode(dict(certificate.body)))
    assert certificate.body["keys"] == [str(key.id)]
    shown = certificate.to_json()
    assert base64.b64decode(shown["signature"]) == certificate.signature
    with in_workspace(history.workspace):
        entry = Entry.objects.get(action="subject.erased")
    detail = canonical.decode(bytes(entry.leaf))["detail"]
    assert (detail["keys"], detail["payloads"], detail["basis"]) == ([str(key.id)], 1, "request")
    assert str(entry.id) == certificate.body["entry"]


def test_after_erasure_the_same_person_gets_a_new_key(history: History) -> None:
    say(history, "old")
    erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")
    say(history, "new")
    history.sign()
    assert history.verify(history.export()) == 0
    assert verify_log(history.workspace, open_payloads=True).clean


def test_a_hold_comes_first(history: History) -> None:
    say(history, "x")
    for subject in (PERSON, ""):
        hold = erasure.set_hold(
            history.workspace, actor=CAROL, reason="case 7", data_subject=subject
        )
        with pytest.raises(UnderHold, match="case 7"):
            erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")
        assert erasure.lift_hold(history.workspace, hold.id, actor=CAROL)
        assert not erasure.lift_hold(history.workspace, hold.id, actor=CAROL)
    with in_workspace(history.workspace):
        assert Payload.objects.count() == 1
        actions = Entry.objects.order_by("number").values_list("action", flat=True)
        assert [a for a in actions if a.startswith("hold.")] == ["hold.set", "hold.lifted"] * 2
    erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")


def test_retention_has_a_floor(history: History) -> None:
    with pytest.raises(RetentionTooShort):
        erasure.set_retention(history.workspace, 182, actor=CAROL)
    erasure.set_retention(history.workspace, 183, actor=CAROL)


def test_payloads_expire_and_the_log_accounts_for_them(history: History) -> None:
    say(history, "old")
    say(history, "held", "user:held")
    later = datetime.now(UTC) + timedelta(days=183)
    assert erasure.expire_payloads(history.workspace, now=later) == 0
    erasure.set_retention(history.workspace, 183, actor=CAROL)
    erasure.set_hold(history.workspace, actor=CAROL, reason="case", data_subject="user:held")
    assert erasure.expire_payloads(history.workspace) == 0
    assert erasure.expire_payloads(history.workspace, now=later) == 1
    with in_workspace(history.workspace):
        assert list(Payload.objects.values_list("key__data_subject", flat=True)) == ["user:held"]
    history.sign()
    assert verify_log(history.workspace, open_payloads=True).clean
    assert history.verify(history.export()) == 0


def test_a_hold_on_the_workspace_stops_expiry(history: History) -> None:
    say(history, "old")
    erasure.set_retention(history.workspace, 183, actor=CAROL)
    erasure.set_hold(history.workspace, actor=CAROL, reason="case")
    later = datetime.now(UTC) + timedelta(days=400)
    assert erasure.expire_payloads(history.workspace, now=later) == 0


def test_another_workspace_is_not_touched(history: History) -> None:
    other = History(uuid4())
    say(history, "mine")
    say(other, "theirs")
    erasure.erase_subject(history.workspace, PERSON, actor=CAROL, basis="request")
    with in_workspace(other.workspace):
        assert Payload.objects.count() == 1
