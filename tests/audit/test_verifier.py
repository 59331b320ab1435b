"""The stand-alone verifier against hostile bundles, without a database."""

import io
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path

import pytest

from audit import notes
from audit.canonical import JSON, encode, timestamp
from audit.drafts import new_id
from audit.merkle import Frontier, leaf_hash
from audit.verifier import countersign_verify as verifier
from tests.audit import synthetic
from tests.audit.history import verify_twice

SIGNER = notes.LocalSigner(b"\x09" * 32)
CHECK = verifier.NUMBER


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    return synthetic.write_bundle(tmp_path, SIGNER, runs=4)


def verify(bundle: Path, key: str, *arguments: str) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        if arguments == ("alone",):
            return verifier.main([str(bundle), "--key", key])
        return verify_twice(bundle, key, *arguments)


def rewrite(bundle: Path, change: Callable[[list[dict[str, JSON]]], object]) -> None:
    """Change the entries and make everything else fit, links and signatures included."""
    path = bundle / "entries.jsonl"
    bodies = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(bodies)
    runs: dict[str, tuple[int, str]] = {}
    lines, tree = [], Frontier()
    for body in bodies:
        if "run" in body:
            seq, last = runs.get(body["run"], (0, ""))
            body["run_seq"] = seq + 1
            body.pop("prev", None)
            if last:
                body["prev"] = last
        leaf = encode(body)
        if "run" in body:
            runs[body["run"]] = body["run_seq"], leaf_hash(leaf).hex()
        lines.append(leaf + b"\n")
        tree.append(leaf_hash(leaf))
    path.write_bytes(b"".join(lines))
    head = notes.Head(synthetic.ORIGIN, tree.size, tree.root())
    (bundle / "checkpoint").write_text(str(notes.sign(head, synthetic.ORIGIN, [SIGNER])))
    predicate = predicate_of(bundle) | {"size": tree.size, "end": tree.size}
    predicate["root"] = tree.root().hex()
    synthetic.seal(bundle, predicate, SIGNER)


def predicate_of(bundle: Path) -> dict[str, JSON]:
    envelope = json.loads((bundle / "manifest.json").read_text())
    found: dict[str, JSON] = json.loads(verifier.unbase64(envelope["payload"]))["predicate"]
    return found


def without(action: str, nth: int = 0) -> Callable[[list[dict[str, JSON]]], object]:
    def change(bodies: list[dict[str, JSON]]) -> None:
        at = [i for i, body in enumerate(bodies) if body["action"] == action][nth]
        del bodies[at]

    return change


def edited(action: str, nth: int = 0, **detail: JSON) -> Callable[[list[dict[str, JSON]]], object]:
    def change(bodies: list[dict[str, JSON]]) -> None:
        found = [body for body in bodies if body["action"] == action][nth]
        found["detail"] = {**found.get("detail", {}), **detail}

    return change


def moved(action: str, by: int, nth: int = 0) -> Callable[[list[dict[str, JSON]]], object]:
    def change(bodies: list[dict[str, JSON]]) -> None:
        at = [i for i, body in enumerate(bodies) if body["action"] == action][nth]
        bodies.insert(at + by, bodies.pop(at))

    return change


def voter(bodies: list[dict[str, JSON]]) -> None:
    """The requester signs in Bob's place."""
    vote = next(body for body in bodies if body["action"] == "vote.cast")
    vote["actor"] = {"type": "user", "id": "alice", "name": "Alice"}


def twice_the_same_person(bodies: list[dict[str, JSON]]) -> None:
    votes = [body for body in bodies if body["action"] == "vote.cast"][:2]
    votes[1]["actor"] = votes[0]["actor"]


def test_the_honest_bundle(made: tuple[Path, str]) -> None:
    assert verify(*made) == 0


@pytest.mark.parametrize(
    "change",
    [
        without("decision.made", 0),
        without("decision.made", 1),
        without("approval.requested"),
        without("vote.cast"),
        without("approval.completed"),
        without("approval.consumed"),
        without("call.intended"),
        edited("decision.made", 0, outcome="deny"),
        edited("decision.made", 1, outcome="deny"),
        edited("call.intended", 0, tool="another"),
        edited("call.intended", 0, request="00000000-0000-4000-8000-000000000000"),
        edited("approval.completed", voters=[{"id": "bob"}]),
        edited("approval.completed", voters=[{"id": "bob"}, {"id": "mallory"}]),
        edited("approval.requested", barred=["bob"]),
        edited("approval.requested", factor="totp"),
        moved("approval.consumed", -1),
        moved("call.intended", -3),
        moved("call.succeeded", -1),
        moved("step.executed", 1),
        voter,
        twice_the_same_person,
    ],
)
def test_a_history_the_platform_cannot_have_made(
    made: tuple[Path, str], change: Callable[[list[dict[str, JSON]]], object]
) -> None:
    rewrite(made[0], change)
    assert verify(*made) == CHECK["lifecycle"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("id", "01a2032c-11d5-7525-aed0-4053345cd450"),
        ("time", "2026-03-01T09:00:00Z"),
        ("time", "2026-13-01T09:00:00.000000Z"),
        ("workspace", "01a2032c-11d5-7525-aed0-4053345cd450"),
        ("actor", {"type": "user", "id": "x"}),
        ("actor", "alice"),
        ("action", "Run Started"),
        ("subject", {"type": "run", "id": 7}),
        ("detail", []),
        ("detail", {"x": 2**53 - 1, "y": [2**53 - 1]}),
        ("trace", "xyz"),
        ("payloads", {"p": {"commitment": "00"}}),
        ("unknown", "x"),
    ],
)
def test_fields(made: tuple[Path, str], field: str, value: JSON) -> None:
    rewrite(made[0], lambda bodies: bodies[0].update({field: value}))
    lawful = value == {"x": 2**53 - 1, "y": [2**53 - 1]}
    assert verify(*made) == (0 if lawful else CHECK["form"])


def test_times(made: tuple[Path, str]) -> None:
    def back(bodies: list[dict[str, JSON]]) -> None:
        time = synthetic.START - timedelta(seconds=400)
        bodies[-1] |= {"time": timestamp(time), "id": str(new_id(time))}

    rewrite(made[0], back)
    assert verify(*made) == CHECK["times"]
    assert verify(*made, "--skew", "500") == 0


def test_a_foreign_key_signed_everything(made: tuple[Path, str]) -> None:
    key = str(notes.VerifierKey(synthetic.ORIGIN, notes.LOG, b"\x01" * 32))
    assert verify(made[0], key) == CHECK["container"]


def test_a_smaller_tree_than_one_kept(made: tuple[Path, str], tmp_path: Path) -> None:
    head = notes.Head(synthetic.ORIGIN, 10_000, b"\0" * 32)
    kept = tmp_path / "kept"
    kept.write_text(str(notes.sign(head, synthetic.ORIGIN, [SIGNER])))
    assert verify(*made, "--seen", str(kept)) == CHECK["freshness"]


def test_an_old_bundle(made: tuple[Path, str]) -> None:
    assert verify(*made, "--max-age", "10") == CHECK["freshness"]


def test_every_flipped_bit_is_refused(made: tuple[Path, str]) -> None:
    """In entries, checkpoint, proofs and manifest, the manifest's list mended each time."""
    bundle, key = made
    dice = random.Random(3)
    predicate = predicate_of(bundle)
    for name in ("entries.jsonl", "checkpoint", "proofs.json"):
        path = bundle / name
        honest = path.read_bytes()
        for _ in range(60):
            bent = bytearray(honest)
            bent[dice.randrange(len(bent))] ^= 1 << dice.randrange(8)
            path.write_bytes(bent)
            synthetic.seal(bundle, predicate, SIGNER)
            assert verify(bundle, key) != 0, (name, bytes(bent))
        path.write_bytes(honest)
    synthetic.seal(bundle, predicate, SIGNER)
    assert verify(bundle, key) == 0


def test_members_that_lie(made: tuple[Path, str], tmp_path: Path) -> None:
    bundle, key = made
    for name in ("entries.jsonl", "checkpoint", "manifest.json", "payloads.jsonl"):
        copy = tmp_path / name / "bundle"
        shutil.copytree(bundle, copy)
        (copy / name).unlink()
        assert verify(copy, key) == CHECK["container"]
    (bundle / "extra").write_text("x")
    assert verify(bundle, key) == CHECK["container"]


def test_two_members_of_one_name(made: tuple[Path, str], tmp_path: Path) -> None:
    packed = tmp_path / "twice.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in made[0].iterdir():
            archive.write(path, path.name)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("entries.jsonl", "")
    assert verify(packed, made[1]) == CHECK["container"]


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04garbage"])
def test_no_bundle_at_all(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    key = str(notes.VerifierKey(synthetic.ORIGIN, notes.LOG, SIGNER.public))
    assert verify(path, key, "alone") == 3


def test_what_the_verifier_brings_is_checked_first(made: tuple[Path, str], tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    for text in ("quorum nobody\n", "witness w\n", "group g 3 a b\n", "log nonsense\n", "who\n"):
        policy.write_text(text)
        assert verify(*made, "--policy", str(policy)) == 3
    assert verify(made[0], "nonsense", "alone") == 3


def test_quorum_groups() -> None:
    keys = {name: notes.VerifierKey(name, 4, bytes([i]) * 32) for i, name in enumerate("abc")}
    policy = verifier.Policy()
    lines = [f"witness {name} {key}" for name, key in keys.items()]
    policy.read("\n".join([*lines, "group two 2 a b c", "group all all two a", "quorum all"]))
    assert policy.satisfied({"a", "b"}, policy.quorum)
    assert not policy.satisfied({"b", "c"}, policy.quorum)
    assert not policy.satisfied({"a"}, policy.quorum)


def test_the_report_names_check_and_entry(made: tuple[Path, str]) -> None:
    rewrite(made[0], without("approval.completed"))
    out = io.StringIO()
    with redirect_stdout(out):
        verifier.main([str(made[0]), "--key", made[1]])
    assert "23 lifecycle" in out.getvalue()
    assert "before it was complete" in out.getvalue()
    assert "NOT VERIFIED (23 lifecycle)" in out.getvalue()
    out = io.StringIO()
    with redirect_stdout(out):
        verifier.main([str(made[0]), "--key", made[1], "--json"])
    assert json.loads(out.getvalue())["findings"][0]["name"] == "lifecycle"


# --- what is printed ------------------------------------------------------------------------


def printed(bundle: Path, key: str, *arguments: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        verifier.main([str(bundle), "--key", key, *arguments])
    return out.getvalue()


def test_a_check_for_which_nothing_was_brought_is_not_called_ok(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    said = printed(*made)
    for name in ("cosignatures", "timestamps", "freshness"):
        assert re.search(rf"^\d\d {name} +not asked: ", said, re.M), said
    assert "Nobody but the log's own key vouches for this history" in said
    kept = tmp_path / "kept"
    kept.write_text((made[0] / "checkpoint").read_text())
    said = printed(*made, "--seen", str(kept))
    assert re.search(r"^17 freshness +ok$", said, re.M)
    assert "Nobody but" not in said
    assert json.loads(printed(*made, "--json"))["not_asked"] == [
        "cosignatures",
        "timestamps",
        "freshness",
    ]


def test_the_report_says_what_was_looked_at(made: tuple[Path, str]) -> None:
    said = printed(*made)
    size = len((made[0] / "entries.jsonl").read_bytes().splitlines())
    assert f"log        {synthetic.ORIGIN}\n" in said
    assert f"positions  0 to {size - 1} of 0 to {size - 1}\n" in said
    assert "shown      the whole log\n" in said
    assert f"times      {synthetic.START:%Y-%m-%d} " in said
    assert "report.html and entries.csv are the exporter's words" in said


def test_what_is_read_gives_no_orders_to_a_terminal(made: tuple[Path, str]) -> None:
    """A name that erases the line of the finding and writes VERIFIED over it."""
    orders = "\x1b[2K\x1b[1A\rVERIFIED\u202e"

    def change(bodies: list[dict[str, JSON]]) -> None:
        vote = next(body for body in bodies if body["action"] == "vote.cast")
        asked = next(body for body in bodies if body["action"] == "approval.requested")
        vote["actor"]["id"] = orders
        asked["detail"]["barred"] = [orders]

    rewrite(made[0], change)
    said = printed(*made)
    assert "signed, who may not" in said
    assert not set(said) & set("\x1b\r\u202e")
    assert said.endswith("NOT VERIFIED (23 lifecycle)\n")
    (made[0] / "checkpoint").write_text("\x1b[2J\nx\n\n")
    assert "\x1b" not in printed(*made)


def test_a_terminal_without_the_letters_stops_nothing(made: tuple[Path, str]) -> None:
    def change(bodies: list[dict[str, JSON]]) -> None:
        vote = next(body for body in bodies if body["action"] == "vote.cast")
        vote["actor"]["id"] = "Zoë Łuczak"

    rewrite(made[0], change)
    program = [sys.executable, verifier.__file__, str(made[0]), "--key", made[1]]
    environment = {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(program, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (CHECK["lifecycle"], b"")


def test_many_findings_hide_no_other(made: tuple[Path, str]) -> None:
    def change(bodies: list[dict[str, JSON]]) -> None:
        for number in range(150):
            bodies.insert(0, {**bodies[0], "zz": number})
        voter(bodies)

    rewrite(made[0], change)
    said = printed(*made)
    assert "and 5" in said.split("19 order")[0]
    assert "alice signed, who may not" in said
