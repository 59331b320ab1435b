"""Anchors: what they keep, what they refuse, and that a restored backup is found out."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from django.conf import LazySettings
from django.db import connections

from audit import anchoring, canonical, checkpoints, heads, merkle, notes, signing
from audit.anchors import registry, witness_server
from audit.anchors.base import Submission
from audit.anchors.file import FileAnchor
from audit.anchors.timestamp import TimestampAnchor
from audit.anchors.witness import WitnessAnchor
from audit.errors import AnchorRefused, AnchorUnavailable, AuditError, HistoryConflict
from audit.models import AnchorState, Entry, Receipt
from audit.transactions import in_workspace
from audit.verifier import countersign_verify as verifier
from tests.audit import authority
from tests.audit.history import History
from tests.audit.witnesses import running_witness
from tests.harness.server import Clone, Server, pointed_at

ORIGIN = "log.example/w"
HASHES = [merkle.leaf_hash(bytes([index])) for index in range(40)]
NODES = merkle.nodes_of(HASHES)
SIGNER = notes.LocalSigner(b"\x05" * 32)
KEY = notes.VerifierKey(ORIGIN, notes.LOG, SIGNER.public)


def submission(size: int, seen: int = 0, nodes: merkle.Nodes = NODES) -> Submission:
    root = merkle.frontier(size, nodes).root()
    note = notes.sign(notes.Head(ORIGIN, size, root), ORIGIN, [SIGNER])
    return Submission(note, seen, lambda old: merkle.consistency_path(old, size, nodes))


def test_other_anchors_than_before_stand_in_the_log(
    history: History, tmp_path: Path, committing_database: Clone
) -> None:
    """Taking a witness away is a change of the settings; the sequencer's next start tells."""
    with running_witness(tmp_path / "w", []) as witness:
        secret = TimestampAnchor("tsa", "https://me:secret@tsa.example:8443/tsr?key=secret")
        kept = FileAnchor("vault", "/mnt/vault")
        assert not anchoring.note_changes("sequencer", [])
        assert anchoring.note_changes("sequencer", [witness, secret, kept])
        assert not anchoring.note_changes("sequencer", [witness, secret, kept])
        assert anchoring.note_changes("sequencer", [])
    with in_workspace(None):
        rows = Entry.objects.filter(action="anchors.changed").order_by("number")
        first, last = (canonical.decode(bytes(row.leaf))["detail"]["anchors"] for row in rows)
    assert [one["name"] for one in first] == ["w1", "tsa", "vault"]
    assert str(witness.key) in first[0]["where"]
    assert first[1]["where"] == "https://tsa.example:8443/tsr"
    assert last == []


def rewritten() -> merkle.Nodes:
    return merkle.nodes_of([merkle.leaf_hash(b"other"), *HASHES[1:]])


# --- the witness ----------------------------------------------------------------------------


def test_a_witness_cosigns_what_grows(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        for size, seen in [(3, 0), (3, 3), (17, 3), (40, 17)]:
            lines = notes.parse_signatures(anchor.submit(submission(size, seen)).decode())
            note = submission(size).note.with_signatures(lines)
            assert notes.cosigned_at(note, anchor.key) is not None


def test_a_witness_tells_the_size_it_knows(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        anchor.submit(submission(10))
        anchor.submit(submission(20, seen=0))
        with pytest.raises(AnchorRefused, match="has seen 20 entries, here are 15"):
            anchor.submit(submission(15, seen=10))


def test_a_witness_refuses_another_history(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        anchor.submit(submission(10))
        with pytest.raises(AnchorRefused, match="422"):
            anchor.submit(submission(20, seen=10, nodes=rewritten()))
        with pytest.raises(AnchorRefused, match="409"):
            anchor.submit(submission(10, seen=10, nodes=rewritten()))


def test_a_witness_remembers_over_a_restart(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        anchor.submit(submission(10))
    with running_witness(tmp_path / "w", [KEY]) as anchor, pytest.raises(AnchorRefused):
        anchor.submit(submission(5))


def test_a_witness_knows_its_logs_and_keys(tmp_path: Path) -> None:
    stranger = notes.LocalSigner(b"\x06" * 32)
    head = submission(4).note.head
    witness_server.init(tmp_path / "w")
    witness = witness_server.Witness(tmp_path / "w", "w", [KEY])
    forged = notes.sign(head, ORIGIN, [stranger])
    assert witness.add_checkpoint(f"old 0\n\n{forged}".encode()).status == 403
    unknown = notes.sign(notes.Head("log.example/x", 4, head.root), "log.example/x", [SIGNER])
    assert witness.add_checkpoint(f"old 0\n\n{unknown}".encode()).status == 404
    assert witness.add_checkpoint(f"old 9\n\n{submission(4).note}".encode()).status == 400
    for body in (b"", b"old x\n\n", b"\xff", b"old 00\n\nx", b"old 1\nzz\n\n"):
        assert witness.add_checkpoint(body).status == 400
    long = "old 0\n" + "AAAA\n" * 64 + f"\n{submission(4).note}"
    assert witness.add_checkpoint(long.encode()).status == 400


def test_an_answer_under_another_key_is_refused(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        other = notes.VerifierKey(anchor.key.name, notes.WITNESS, b"\x01" * 32)
        wrong = WitnessAnchor("w", anchor._url.removesuffix("/add-checkpoint"), str(other))
        with pytest.raises(AnchorRefused, match="not sign with the key"):
            wrong.submit(submission(4))


def test_a_witness_out_of_reach() -> None:
    anchor = WitnessAnchor("w", "http://127.0.0.1:9", str(notes.VerifierKey("w", 4, b"\1" * 32)))
    with pytest.raises(AnchorUnavailable):
        anchor.submit(submission(4))


# --- the file -------------------------------------------------------------------------------


def test_a_file_is_written_once(vault: Path) -> None:
    anchor = FileAnchor("f", str(vault))
    anchor.submit(submission(10))
    anchor.submit(submission(10))
    found = [path for path in vault.rglob("*") if path.is_file()]
    assert len(found) == 1
    assert notes.parse(found[0].read_text()).head.size == 10
    assert found[0].stat().st_mode & 0o222 == 0
    with pytest.raises(AnchorRefused, match="another root"):
        anchor.submit(submission(10, nodes=rewritten()))


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnchorUnavailable):
        FileAnchor("f", str(tmp_path / "file")).submit(submission(10))


# --- time stamps ----------------------------------------------------------------------------


def test_an_authority_stamps_and_the_verifier_believes_its_root(tmp_path: Path) -> None:
    tsa = authority.make(tmp_path / "tsa")
    with authority.serving(tsa) as url:
        response = TimestampAnchor("t", url).submit(submission(10))
    stamp = verifier.parse_timestamp(response)
    for trusted in (tsa.certificate, tsa.root):
        certificates = x509.load_pem_x509_certificates(trusted.read_bytes())
        assert verifier.timestamp_valid(stamp, certificates)
    other = authority.make(tmp_path / "other")
    stranger = x509.load_pem_x509_certificates(other.root.read_bytes())
    assert not verifier.timestamp_valid(stamp, stranger)


def test_a_bent_stamp_never_says_something_else(tmp_path: Path) -> None:
    """Each bit of a token may bend; parts of its envelope are not signed, every claim is."""
    tsa = authority.make(tmp_path / "tsa")
    with authority.serving(tsa) as url:
        response = TimestampAnchor("t", url).submit(submission(10))
    certificates = x509.load_pem_x509_certificates(tsa.root.read_bytes())
    honest = verifier.parse_timestamp(response)
    for at in range(len(response)):
        bent = response[:at] + bytes([response[at] ^ 1]) + response[at + 1 :]
        try:
            stamp = verifier.parse_timestamp(bent)
            valid = verifier.timestamp_valid(stamp, certificates)
        except verifier.Malformed:
            continue
        said = (stamp.imprint, stamp.time, stamp.nonce)
        assert not valid or said == (honest.imprint, honest.time, honest.nonce)


@pytest.mark.parametrize("reply", [b"", b"\x30\x03\x02\x01\x02", b"\x30\x05\x30\x03\x02\x01\x02"])
def test_an_authority_that_refuses_is_not_believed(reply: bytes) -> None:
    with pytest.raises(verifier.Malformed):
        verifier.parse_timestamp(reply)


# --- together -------------------------------------------------------------------------------


def test_the_registry_says_what_is_wrong(settings: LazySettings) -> None:
    for entry, message in [
        ({"kind": "carrier pigeon", "name": "x"}, "anchor kind"),
        ({"kind": "file", "name": "x"}, "path"),
    ]:
        settings.COUNTERSIGN_AUDIT_ANCHORS = [entry]
        with pytest.raises(AuditError, match=message):
            registry.configured()
    settings.COUNTERSIGN_AUDIT_ANCHORS = [
        {"kind": "file", "name": "x", "path": "/tmp"},
        {"kind": "rfc3161", "name": "y", "url": "http://x"},
    ]
    assert [anchor.kind for anchor in registry.configured()] == ["file", "rfc3161"]


def test_receipts_reach_the_bundle_and_satisfy_a_quorum(history: History, tmp_path: Path) -> None:
    tsa = authority.make(tmp_path / "tsa")
    history.run()
    history.sign()
    keys = signing.verifier_keys(history.workspace)
    with running_witness(tmp_path / "w", _all_logs(keys)) as witness, authority.serving(tsa) as url:
        results = anchoring.submit_due("sequencer", [witness, TimestampAnchor("t", url)])
    assert {(r.anchor, r.error) for r in results if r.workspace_id == history.workspace} == {
        ("w1", ""),
        ("t", ""),
    }
    policy = tmp_path / "policy"
    policy.write_text(f"# mine\nwitness w {witness.key} http://w\ngroup g 1 w\nquorum g\n")
    bundle = history.export()
    arguments = ["--policy", str(policy), "--tsa", str(tsa.root), "--max-age", "600"]
    assert history.verify(bundle, *arguments) == 0
    policy.write_text(f"witness w {notes.VerifierKey('w', 4, b'x' * 32)}\nquorum w\n")
    assert history.verify(bundle, *arguments) == verifier.NUMBER["cosignatures"]


def test_failures_are_retried_later_and_shown(history: History) -> None:
    history.run()
    history.sign()
    anchor = WitnessAnchor("w", "http://127.0.0.1:9", str(notes.VerifierKey("w", 4, b"\1" * 32)))
    assert all(result.error for result in anchoring.submit_due("sequencer", [anchor]))
    assert anchoring.submit_due("sequencer", [anchor]) == []
    with in_workspace(history.workspace):
        state = AnchorState.objects.get(anchor="w")
        assert (state.failures, state.refused, state.succeeded_at) == (1, False, None)
        assert not Receipt.objects.exists()


def test_a_restored_backup_raises_an_alarm(
    history: History, committing_database: Clone, database_server: Server, tmp_path: Path
) -> None:
    history.run()
    history.sign()
    with running_witness(tmp_path / "w", _logs(history.workspace)) as witness:
        anchoring.submit_due("sequencer", [witness])
        with _backup(committing_database, database_server) as backup:
            with pointed_at(committing_database):
                history.run()
                history.sign()
                anchoring.submit_due("sequencer", [witness])
            with pointed_at(backup):
                with pytest.raises(HistoryConflict, match="knows"):
                    checkpoints.require_history("sequencer")
                heads.path().unlink()
                checkpoints.require_history("sequencer")
                with pytest.raises(HistoryConflict, match="has seen"):
                    anchoring.ask_witnesses("sequencer", [witness])


def test_a_restored_backup_that_goes_on_is_found_by_kept_checkpoints(
    history: History, committing_database: Clone, database_server: Server, tmp_path: Path
) -> None:
    history.run()
    history.sign()
    kept = tmp_path / "kept"
    with _backup(committing_database, database_server) as backup:
        with pointed_at(committing_database):
            history.run()
            kept.write_text(history.sign().note)
        with pointed_at(backup):
            heads.path().unlink()
            history.run()
            history.run()
            history.sign()
            bundle = history.export()
            assert history.verify(bundle) == 0
            assert history.verify(bundle, "--seen", str(kept)) == verifier.NUMBER["consistency"]


def test_a_cosignature_of_another_checkpoint_does_not_count(tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", [KEY]) as anchor:
        lines = notes.parse_signatures(anchor.submit(submission(10)).decode())
    assert notes.cosigned_at(submission(10).note.with_signatures(lines), anchor.key)
    assert notes.cosigned_at(submission(20).note.with_signatures(lines), anchor.key) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\nAAAA\n\n",
        f"a\n01\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAAA\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\nextension\n\n— a AAAAAAAA\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAAA",
        f"a\n1\n{base64.b64encode(bytes(31)).decode()}\n\n— a AAAAAAAA\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\n\n- a AAAAAAAA\n",
    ],
)
def test_only_the_exact_form_of_a_checkpoint_parses(text: str) -> None:
    with pytest.raises(notes.NoteError):
        notes.parse(text)
    with pytest.raises(verifier.Malformed):
        verifier.Checkpoint.parse(text)


@contextmanager
def _backup(clone: Clone, server: Server) -> Iterator[Clone]:
    """A copy of the database as it is now."""
    connections.close_all()
    copy = Clone(f"{clone.name}_backup", clone.host)
    with server.admin.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {copy.name} TEMPLATE {clone.name}".encode())
    try:
        yield copy
    finally:
        server.drop(copy)


def _logs(workspace: UUID) -> list[notes.VerifierKey]:
    return _all_logs(signing.verifier_keys(workspace))


def _all_logs(keys: list[notes.VerifierKey]) -> list[notes.VerifierKey]:
    """The workspace's log and the platform's, which gets an entry for each checkpoint."""
    return [*keys, *signing.verifier_keys(UUID(int=0))]
