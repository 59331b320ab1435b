"""Both verifiers over the same bundles: genuine ones, and a table of tampered ones.

The second verifier was written from `deploy/docs/log-format.md` alone, by someone who had not seen
the first, nor any other code of the log; so were these bundles. Each must get the same exit status
and name the same entry from both, and the ones that the specification asks for.
"""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from audit.verifier import countersign_verify as first
from tests.audit import forged
from tests.audit import second_verifier as second
from tests.audit.forged import LOG, WITNESS, Forger
from tests.audit.tampered import CASES, OTHER_LOG, POLICY, Case, text_of

Answer = tuple[int, int | None]


def of_first(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Answer:
    """Exit status, and the entry that the first finding of that check names."""
    capsys.readouterr()
    status = first.main([*arguments, "--json"])
    if status == 3:
        return status, None
    findings = json.loads(capsys.readouterr().out)["findings"]
    return status, next((one["position"] for one in findings if one["check"] == status), None)


def of_second(arguments: list[str]) -> Answer:
    given = second.arguments().parse_args(arguments)
    try:
        found = second.verify(given.bundle, second.read_trust(given))
    except second.CannotRead:
        return 3, None
    return found.status, found.position


def both(
    bundle: Path, capsys: pytest.CaptureFixture[str], *arguments: str, key: str = LOG.key
) -> Answer:
    given = [str(bundle), "--key", key, *arguments]
    answer = of_first(given, capsys)
    assert of_second(given) == answer
    return answer


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_say_the_same(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = forged.write_folder(case.forger.make(), tmp_path / "bundle")
    for name, text in case.brought.items():
        (tmp_path / name).write_text(text)
    arguments = [str(tmp_path / one[1:]) if one.startswith("@") else one for one in case.arguments]
    assert both(bundle, capsys, *arguments) == (case.status, case.position)


def test_the_table_names_each_case_once() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.status for case in CASES} == {0, 3, *first.CHECKS} - {13}


# --- archives and folders -------------------------------------------------------------------

Packer = Callable[[dict[str, bytes], Path], object]


def twice(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip(files, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist.append(archive.getinfo("entries.jsonl"))
        archive.comment = b"so that it is written anew"


def below_a_folder(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip({f"bundle/{name}": data for name, data in files.items()}, path)


def with_a_folder(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip({**files, "more/": b""}, path)


def climbing(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip({**files, "../report.html": b""}, path)


def linked(files: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == "README.txt" else 0o100644) << 16
            archive.writestr(info, data)


def told_encrypted(files: dict[str, bytes], path: Path) -> None:
    """With the flag of encryption at each member, in both headers."""
    forged.write_zip(files, path)
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(data)


def damaged(place: float) -> Packer:
    def pack(files: dict[str, bytes], path: Path) -> None:
        forged.write_zip(files, path)
        data = bytearray(path.read_bytes())
        at = data.find(b"entries.jsonl") + len("entries.jsonl") + int(place * 400)
        data[at : at + 8] = bytes(byte ^ 0xFF for byte in data[at : at + 8])
        path.write_bytes(data)

    return pack


def cut_off(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip(files, path)
    path.write_bytes(path.read_bytes()[:-40])


def of_another_method(files: dict[str, bytes], path: Path) -> None:
    forged.write_zip(files, path)
    data = path.read_bytes().replace(b"\x08\x00", b"\x63\x00")
    path.write_bytes(data)


def with_(change: Callable[[bytes], bytes]) -> Packer:
    """Other bytes of a whole archive."""

    def pack(files: dict[str, bytes], path: Path) -> None:
        forged.write_zip(files, path)
        path.write_bytes(change(path.read_bytes()))

    return pack


def behind_another(files: dict[str, bytes], path: Path) -> None:
    """A program that reads from the front sees another bundle."""
    forged.write_zip({**files, "report.html": b"All is well."}, path)
    front = path.read_bytes()
    forged.write_zip(files, path)
    path.write_bytes(front + path.read_bytes())


def with_a_gap(files: dict[str, bytes], path: Path) -> None:
    """A member between others that the directory does not name."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            archive.writestr("hidden.txt", b"All is well.") if name == "checkpoint" else None
        archive.filelist = [info for info in archive.filelist if info.filename != "hidden.txt"]
        del archive.NameToInfo["hidden.txt"]


def with_extra(tag: int) -> Packer:
    def pack(files: dict[str, bytes], path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                info = zipfile.ZipInfo(name)
                info.extra = tag.to_bytes(2, "little") + b"\x05\x00\x01abcd"
                archive.writestr(info, data)

    return pack


def commented(place: str) -> Packer:
    def pack(files: dict[str, bytes], path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
            for one in archive.filelist if place == "members" else [archive]:
                one.comment = b"All is well."

    return pack


def streamed(files: dict[str, bytes], path: Path) -> None:
    """Sizes after each member, as programs write that cannot go back."""

    class Pipe:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += bytes(data)
            return len(data)

        def flush(self) -> None:
            pass

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            archive.writestr(name, data)
    path.write_bytes(pipe.data)


def told_otherwise(mark: bytes, at: int, bits: int = 1) -> Callable[[bytes], bytes]:
    """Another field in the last header that begins so."""

    def change(data: bytes) -> bytes:
        place = data.rindex(mark) + at
        return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]

    return change


def sized_otherwise(at: int) -> Callable[[bytes], bytes]:
    """Another field in the header before the first member."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("pack", "status"),
    [
        (forged.write_zip, 0),
        (with_extra(0x5455), 0),
        (with_extra(0x7075), 10),
        (with_extra(0x4242), 10),
        (with_(lambda data: b"#!/bin/sh\n" + data), 10),
        (with_(lambda data: data + b"more"), 10),
        (with_(sized_otherwise(6)), 10),
        (with_(sized_otherwise(8)), 10),
        (with_(sized_otherwise(14)), 10),
        (with_(sized_otherwise(18)), 10),
        (with_(sized_otherwise(22)), 10),
        (with_(told_otherwise(b"PK\x01\x02", 6, 0x40)), 10),
        (with_(told_otherwise(b"PK\x01\x02", 36)), 0),
        (with_(told_otherwise(b"PK\x01\x02", 38, 0x10)), 10),
        *[(with_(told_otherwise(b"PK\x05\x06", at)), 10) for at in (4, 6, 8)],
        (behind_another, 10),
        (with_a_gap, 10),
        (commented("members"), 10),
        (commented("archive"), 10),
        (streamed, 10),
        (twice, 10),
        (below_a_folder, 10),
        (with_a_folder, 10),
        (climbing, 10),
        (linked, 10),
        (told_encrypted, 10),
        *[(damaged(place), 10) for place in (0.0, 0.2, 0.4, 0.6, 0.8)],
        (of_another_method, 10),
        (cut_off, 3),
    ],
)
def test_archives(
    pack: Packer, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bundle.zip"
    pack(Forger().make(), path)
    assert both(path, capsys) == (status, None)


def test_a_member_that_is_a_link_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = forged.write_folder(Forger().make(), tmp_path / "bundle")
    (bundle / "README.txt").rename(tmp_path / "elsewhere")
    (bundle / "README.txt").symlink_to(tmp_path / "elsewhere")
    assert both(bundle, capsys) == (10, None)


def test_a_member_that_is_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = forged.write_folder(Forger().make(), tmp_path / "bundle")
    (bundle / "report.html").mkdir()
    assert both(bundle, capsys) == (10, None)


def test_what_is_not_there_or_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("PK but no archive")
    assert both(tmp_path / "nothing", capsys) == (3, None)
    assert both(tmp_path / "text", capsys) == (3, None)


# --- the proof of one entry (§11) -----------------------------------------------------------

PLACE = 20


def proof(**changed: Any) -> dict[str, Any]:
    leaves = Forger().chained(forged.story())
    hashes = [forged.leaf_hash(leaf) for leaf in leaves]
    return {
        "format": "https://countersign.dev/entry-proof/v1",
        "leaf": leaves[PLACE].decode(),
        "position": PLACE,
        "path": [one.hex() for one in forged.path(PLACE, hashes)],
        "checkpoint": Forger().checkpoint(hashes),
        "timestamps": [],
        **changed,
    }


def another_logs() -> str:
    """The checkpoint of this log, signed by the key of another one that is trusted too."""
    text = text_of(proof()["checkpoint"].encode())
    return forged.note(text, OTHER_LOG)


def bad_leaf() -> dict[str, Any]:
    bodies = forged.story()
    bodies[PLACE]["extra"] = 1
    leaves = Forger().chained(bodies)
    hashes = [forged.leaf_hash(leaf) for leaf in leaves]
    path = [one.hex() for one in forged.path(PLACE, hashes)]
    note = Forger().checkpoint(hashes)
    return {"leaf": leaves[PLACE].decode(), "path": path, "checkpoint": note}


@pytest.mark.parametrize(
    ("changed", "status", "position"),
    [
        ({}, 0, None),
        ({"format": "https://countersign.dev/entry-proof/v2"}, 10, None),
        ({"more": 1}, 10, None),
        ({"position": True}, 10, None),
        ({"position": "20"}, 10, None),
        ({"path": "ab"}, 10, None),
        ({"leaf": 7}, 10, None),
        ({"leaf": "\ud800"}, 10, None),
        ({"checkpoint": "no note"}, 10, None),
        ({"timestamps": ["?"]}, 10, None),
        ({"checkpoint": another_logs()}, 11, None),
        ({"position": 21}, 15, 21),
        ({"position": 99}, 15, 99),
        ({"path": []}, 15, PLACE),
        ({"leaf": proof()["leaf"].replace("agent", "agemt", 1)}, 15, PLACE),
        (bad_leaf(), 18, PLACE),
    ],
)
def test_proofs(
    changed: dict[str, Any],
    status: int,
    position: int | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "entry.proof.json"
    path.write_text(json.dumps(proof(**changed)))
    assert both(path, capsys, "--key", OTHER_LOG.key) == (status, position)


@pytest.mark.parametrize(
    "data",
    [b"{", b'{"format":1,"format":1}', b'{"a":1.0}', b'{"a":' * 100_000, b"{}[]", "{é".encode()],
)
def test_what_is_no_proof(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "entry.proof.json"
    path.write_bytes(data)
    assert both(path, capsys) == (3, None)


def test_a_proof_in_utf_16_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "entry.proof.json"
    path.write_bytes(json.dumps(proof()).encode("utf-16-le"))
    assert both(path, capsys) == (3, None)


def test_what_a_proof_is_held_against(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, kept, policy = (tmp_path / name for name in ("entry.proof.json", "kept", "policy"))
    path.write_text(json.dumps(proof()))
    policy.write_text(POLICY)
    assert both(path, capsys, "--policy", str(policy)) == (12, None)
    assert both(path, capsys, "--max-age", "1000000000") == (17, None)
    for note, status in (
        (forged.note(forged.head(36, bytes(32))), 16),
        (forged.note(forged.head(37, bytes(32))), 17),
        (forged.note(forged.head(20, bytes(32))), 0),
        (proof()["checkpoint"], 0),
        (forged.note(forged.head(36, bytes(32), OTHER_LOG.name), OTHER_LOG), 16),
    ):
        kept.write_text(note)
        assert both(path, capsys, "--seen", str(kept)) == (status, None)
    for at, status in (
        (datetime.now(UTC), 0),
        (forged.START, 0),
        (datetime(2026, 11, 1, tzinfo=UTC), 22),
    ):
        note = proof()["checkpoint"]
        seen = note + WITNESS.cosignature(text_of(note.encode()), at)
        path.write_text(json.dumps(proof(checkpoint=seen)))
        expected = (status, PLACE if status else None)
        assert both(path, capsys, "--policy", str(policy)) == expected
