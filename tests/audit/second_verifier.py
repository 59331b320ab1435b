"""A second reading of deploy/docs/log-format.md, to hold against the first.

Written from the specification, in another style: the whole bundle in memory, plain
functions over lists, the tree by its recursive definition, canonical form by the public
package `rfc8785`, links and lifecycle by looking backwards from each entry instead of
carrying state forward. It is slow and covers checks 11, 14, 15, 18, 19 and 23.

`judge(path, keys)` returns the set of checks that fail.
"""

import base64
import datetime
import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COVERED = frozenset({11, 14, 15, 18, 19, 23})


class Shown(NamedTuple):
    """One shown entry."""

    position: int
    raw: bytes
    leaf: dict[str, Any]


def judge(path: Path, keys: list[str], *, allow_open: bool = False) -> set[int]:
    """Return the numbers of the covered checks that fail; 10 if it cannot be read."""
    try:
        files = members(path)
        statement = json.loads(base64.b64decode(json.loads(files["manifest.json"])["payload"]))
        facts = statement["predicate"]
        head = checkpoint(files["checkpoint"])
        lines = files["entries.jsonl"].split(b"\n")
        if lines.pop() != b"":
            return {10}
        proofs = json.loads(files["proofs.json"])
        hashes = [line_hash(line) for line in lines]
        if proofs.keys() != {"left", "right", "consistency"}:
            return {10}
    except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile):
        return {10}
    failed = set()
    if not signed(head, keys):
        failed.add(11)
    shown, malformed = read_entries(lines, facts)
    if malformed:
        failed.add(18)
    failed |= completeness(facts, head["size"], lines, shown)
    if not adds_up(facts["first"], hashes, proofs, head):
        failed.add(15)
    whole_runs = complete_runs(shown)
    if broken_links(shown, facts) or left_open(shown, facts, allow_open=allow_open):
        failed.add(19)
    if any(breaks_lifecycle(shown, facts, whole_runs)):
        failed.add(23)
    return failed


def members(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- checkpoint (§5.2) ----------------------------------------------------------------------


def checkpoint(note: bytes) -> dict[str, Any]:
    found = re.fullmatch(
        "(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]*)\n(?P<root>[^\n]+)\n)\n"
        "(?P<signatures>(?:\u2014 [^ \n]+ [^ \n]+\n)+)",
        note.decode(),
    )
    if not found:
        raise ValueError("not a checkpoint")
    lines = [line.split(" ")[1:] for line in found["signatures"].splitlines()]
    return {
        "text": found["text"].encode(),
        "origin": found["origin"],
        "size": int(found["size"]),
        "root": base64.b64decode(found["root"], validate=True),
        "signatures": [(name, base64.b64decode(body, validate=True)) for name, body in lines],
    }


def signed(head: dict[str, Any], keys: list[str]) -> bool:
    return any(
        line_name == name and body[:4].hex() == key_id and verifies(public, body[4:], head["text"])
        for name, key_id, public in map(parse_key, keys)
        for line_name, body in head["signatures"]
    )


def parse_key(text: str) -> tuple[str, str, bytes]:
    name, key_id, material = text.split("+", 2)
    raw = base64.b64decode(material)
    expected = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    if raw[0] != 1 or expected != key_id:
        raise ValueError("not a log key")
    return name, key_id, raw[1:]


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except Exception:  # noqa: BLE001 (whatever is wrong with it, it does not verify)
        return False
    return True


# --- tree (§5.1, §6.5) ----------------------------------------------------------------------


def line_hash(line: bytes) -> bytes:
    if line.startswith(b'"'):
        if not re.fullmatch(b'"[0-9a-f]{64}"', line):
            raise ValueError("not a hash")
        return bytes.fromhex(line[1:-1].decode())
    return hashlib.sha256(b"\0" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def adds_up(first: int, hashes: list[bytes], proofs: dict[str, Any], head: dict[str, Any]) -> bool:
    """The range's root from its left edge, then RFC 9162 §2.1.4.2 up to the checkpoint."""
    edge = [bytes.fromhex(text) for text in proofs["left"]]
    if len(edge) != first.bit_count():
        return False
    size = first
    for item in hashes:
        edge.append(item)
        size += 1
        for _ in range((size & -size).bit_length() - 1):
            right, left = edge.pop(), edge.pop()
            edge.append(node(left, right))
    root = fold(edge)
    path = [bytes.fromhex(text) for text in proofs["right"]]
    return grown(size, head["size"], root, head["root"], path)


def fold(edge: list[bytes]) -> bytes:
    if not edge:
        return hashlib.sha256().digest()
    return edge[0] if len(edge) == 1 else node(edge[0], fold(edge[1:]))


def grown(m: int, n: int, old: bytes, new: bytes, path: list[bytes]) -> bool:
    """Check a consistency proof by rebuilding both roots along the recursion that made it."""
    if m == n:
        return old == new and not path
    if not 0 < m < n:
        return False
    rest = list(path)
    try:
        before, after = rebuilt(m, n, True, old, rest)
    except IndexError:
        return False
    return not rest and before == old and after == new


def rebuilt(m: int, n: int, known: bool, old: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """SUBPROOF(m, D_n, b) of RFC 9162 §2.1.4.1, read backwards: (root of m, root of n)."""
    if m == n:
        both = old if known else path.pop(0)
        return both, both
    k = 1 << ((n - 1).bit_length() - 1)
    if m <= k:
        before, left = rebuilt(m, k, known, old, path)
        return before, node(left, path.pop(0))
    before, right = rebuilt(m - k, n - k, False, old, path)
    left = path.pop(0)
    return node(left, before), node(left, right)


# --- entries (§3, §4, §6.3) -----------------------------------------------------------------


def read_entries(lines: list[bytes], facts: dict[str, Any]) -> tuple[list[Shown], bool]:
    shown, malformed = [], False
    for offset, raw in enumerate(lines):
        if raw.startswith(b'"'):
            continue
        try:
            leaf = json.loads(raw)
            fits = rfc8785.dumps(leaf) == raw and in_profile(leaf) and has_fields(leaf, facts)
        except Exception:  # noqa: BLE001 (whatever is wrong with it, it is malformed)
            fits = False
        if fits:
            shown.append(Shown(facts["first"] + offset, raw, leaf))
        malformed |= not fits
    return shown, malformed


def in_profile(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth < 32 and all(
            key != "" and key.isascii() and "\0" not in key and in_profile(item, depth + 1)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return depth < 32 and all(in_profile(item, depth + 1) for item in value)
    if isinstance(value, str):
        return "\0" not in value
    return isinstance(value, int)


UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TEXTS: dict[str, str] = {
    "id": UUID,
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "workspace": UUID,
    "action": "[a-z]+(_[a-z]+)*\\.[a-z]+(_[a-z]+)*",
    "run": UUID,
    "prev": "[0-9a-f]{64}",
    "trace": "[0-9a-f]{32}",
}


def has_fields(leaf: dict[str, Any], facts: dict[str, Any]) -> bool:
    required = {"v", "id", "time", "workspace", "actor", "action", "subject"}
    optional = {"on_behalf_of", "run", "run_seq", "prev", "detail", "payloads", "trace"}
    sequence = leaf.get("run_seq", 0)
    return (
        required <= leaf.keys() <= required | optional
        and json.dumps(leaf["v"]) == "1"
        and leaf["workspace"] == facts["workspace"]
        and all(re.fullmatch(form, leaf[name]) for name, form in TEXTS.items() if name in leaf)
        and made_when_said(leaf)
        and all(
            texts(leaf[who], {"type", "id", "name"})
            for who in ("actor", "on_behalf_of")
            if who in leaf
        )
        and (
            texts(leaf["subject"], {"type", "id"})
            or texts(leaf["subject"], {"type", "id", "version"})
        )
        and ("run" in leaf) == ("run_seq" in leaf)
        and (sequence >= 1 if "run" in leaf else sequence == 0)
        and ("prev" in leaf) == (sequence > 1)
        and isinstance(leaf.get("detail", {}), dict)
        and all(map(is_commitment, leaf.get("payloads", {}).values()))
    )


def made_when_said(leaf: dict[str, Any]) -> bool:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    passed = datetime.datetime.fromisoformat(leaf["time"]) - epoch
    stamp = int(leaf["id"].replace("-", "")[:12], 16)
    return leaf["id"][14] == "7" and passed // datetime.timedelta(milliseconds=1) == stamp


def texts(value: dict[str, Any], names: set[str]) -> bool:
    return value.keys() == names and all(isinstance(item, str) for item in value.values())


def is_commitment(value: dict[str, Any]) -> bool:
    return (
        value.keys() == {"commitment", "key", "length", "media"}
        and re.fullmatch("[0-9a-f]{64}", value["commitment"]) is not None
        and re.fullmatch(UUID, value["key"]) is not None
        and isinstance(value["media"], str)
        and type(value["length"]) is int
        and value["length"] >= 0
    )


# --- completeness and order (§7: 14, 19) ----------------------------------------------------


def completeness(
    facts: dict[str, Any], size: int, lines: list[bytes], shown: list[Shown]
) -> set[int]:
    first, end, scope = facts["first"], facts["end"], facts["scope"]
    ids = [entry.leaf["id"] for entry in shown]
    holds = (
        0 <= first < end <= size
        and len(lines) == end - first
        and any(line.startswith(b"{") for line in lines)
        and len(set(ids)) == len(ids)
        and (scope["kind"] in ("run", "search") or not any(x.startswith(b'"') for x in lines))
        and (scope["kind"] != "workspace" or (first, end) == (0, size))
        and (scope["kind"] != "run" or any(e.leaf.get("run") == scope["run"] for e in shown))
    )
    return set() if holds else {14}


def of_run(shown: list[Shown], run: str) -> list[Shown]:
    return [entry for entry in shown if entry.leaf.get("run") == run]


def runs_of(shown: list[Shown]) -> list[str]:
    return list(dict.fromkeys(e.leaf["run"] for e in shown if "run" in e.leaf))


def complete_runs(shown: list[Shown]) -> dict[str, int]:
    """Return for each run how many of its entries are there before the first that lacks."""
    found = {}
    for run in runs_of(shown):
        count = 0
        for expected, entry in enumerate(of_run(shown, run), 1):
            if entry.leaf["run_seq"] != expected:
                break
            count += 1
        found[run] = count
    return found


def broken_links(shown: list[Shown], facts: dict[str, Any]) -> bool:
    scope = facts["scope"]
    for run in runs_of(shown):
        entries = of_run(shown, run)
        partly = scope["kind"] == "search" or (scope["kind"] == "run" and scope["run"] != run)
        starts_late = scope["kind"] == "range" and facts["first"] > 0
        before: Shown | None = None
        for entry in entries:
            number = entry.leaf["run_seq"]
            last = before.leaf["run_seq"] if before else 0
            if number <= last:
                return True
            if number == last + 1 and before:
                if entry.leaf["prev"] != hashlib.sha256(b"\0" + before.raw).hexdigest():
                    return True
            elif number != last + 1 and not (partly or (starts_late and before is None)):
                return True
            before = entry
    return False


def left_open(shown: list[Shown], facts: dict[str, Any], *, allow_open: bool) -> bool:
    if facts["scope"]["kind"] != "run" or allow_open:
        return False
    entries = of_run(shown, facts["scope"]["run"])
    ended = any(e.leaf["action"] in ("run.ended", "run.cancelled") for e in entries)
    return bool(entries) and not ended


# --- lifecycle (§8), each rule looking back -------------------------------------------------


class Past(NamedTuple):
    """What stands before an entry: in its run, and in the bundle."""

    run: list[Shown]
    all: list[Shown]
    must_show: bool


def breaks_lifecycle(
    shown: list[Shown], facts: dict[str, Any], whole: dict[str, int]
) -> Iterator[bool]:
    must_show = facts["scope"]["kind"] == "workspace" or (
        facts["scope"]["kind"] == "range" and facts["first"] == 0
    )
    for index, entry in enumerate(shown):
        run = entry.leaf.get("run")
        action = entry.leaf["action"]
        if run is not None and entry.leaf["run_seq"] > whole[run]:
            continue
        earlier = [
            e
            for e in shown[:index]
            if "run" not in e.leaf or e.leaf["run_seq"] <= whole[e.leaf["run"]]
        ]
        past = Past(of_run(earlier, run) if run else [], earlier, must_show)
        if (
            run is not None
            and action in AFTER_END
            and said(past.run, ("run.ended", "run.cancelled"))
        ):
            yield True
        elif action in RULES and (run is not None or action in OF_REQUESTS):
            yield not RULES[action](entry.leaf, entry.leaf.get("detail", {}), past)


def said(entries: list[Shown], actions: tuple[str, ...], **detail: object) -> list[dict[str, Any]]:
    return [
        e.leaf
        for e in entries
        if e.leaf["action"] in actions
        and all(e.leaf.get("detail", {}).get(k) == v for k, v in detail.items())
    ]


def decided(past: Past, action: str, step: object, call: object, tool: object = None) -> object:
    made = said(past.run, ("decision.made",), step=step, call=call)
    about = [x["detail"] for x in made if x["detail"].get("action", "").split(":")[0] == action]
    if not about:
        return None
    named = about[-1]["action"].split(":", 1)[1:]
    return about[-1].get("outcome") if named in ([], [""], [tool]) else None


def used(past: Past, kind: str, step: object) -> bool:
    """Whether a request of this kind, for this step, was used in the run."""
    names = {
        x["subject"]["id"] for x in said(past.run, ("approval.requested",), kind=kind, step=step)
    }
    return any(x["subject"]["id"] in names for x in said(past.run, ("approval.consumed",)))


def may_go_on(outcome: object, approved: bool) -> bool:
    return outcome == "allow" or (outcome == "review" and approved)


def executed(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    step = detail.get("step")
    return may_go_on(decided(past, "execute", step, None), used(past, "code", step))


def released(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    step = detail.get("step")
    return may_go_on(decided(past, "release", step, None), used(past, "answer", step))


def intended(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    outcome = decided(past, "call", detail.get("step"), detail.get("seq"), detail.get("tool"))
    if "request" not in detail:
        return outcome == "allow"
    consumed = said(past.run, ("approval.consumed",))
    names = {x["subject"]["id"] for x in consumed if x.get("run") == leaf["run"]}
    asked = {x["subject"]["id"] for x in said(past.run, ("approval.requested",))}
    return outcome in ("allow", "review") and detail["request"] in names & asked


OUTCOMES = ("call.succeeded", "call.failed", "call.unknown", "call.resolved")


def last_of_call(detail: dict[str, Any], past: Past) -> str:
    place = {"step": detail.get("step"), "seq": detail.get("seq")}
    found = said(past.run, ("call.intended", *OUTCOMES), **place)
    return str(found[-1]["action"]) if found else ""


def succeeded(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    last = last_of_call(detail, past)
    if last == "" and detail.get("effect") == "read":
        return (
            decided(past, "call", detail.get("step"), detail.get("seq"), detail.get("tool"))
            == "allow"
        )
    return last == "call.intended"


def failed_call(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    return last_of_call(detail, past) in ("", "call.intended")


def unknown(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    return last_of_call(detail, past) == "call.intended"


def resolved(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    return last_of_call(detail, past) in ("call.intended", "call.unknown")


def request_of(leaf: dict[str, Any], past: Past) -> tuple[dict[str, Any] | None, list[Shown]]:
    name = leaf["subject"]["id"]
    about = [e for e in past.all if e.leaf["subject"]["id"] == name]
    asked = said(about, ("approval.requested",))
    return (asked[-1] if asked else None), about


def barred(asked: dict[str, Any]) -> set[str]:
    requester = asked.get("on_behalf_of", asked["actor"])["id"]
    return {requester, asked["actor"]["id"], *asked.get("detail", {}).get("barred", [])}


def voted(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    asked, _ = request_of(leaf, past)
    if asked is None:
        return not past.must_show
    return detail.get("answer") != "sign" or leaf["actor"]["id"] not in barred(asked)


def completed(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    asked, about = request_of(leaf, past)
    if asked is None:
        return not past.must_show
    signers = {x["actor"]["id"] for x in said(about, ("vote.cast",), answer="sign")}
    counted = {voter["id"] for voter in detail.get("voters", [])}
    seats = sum(seat["count"] for seat in asked.get("detail", {}).get("requirement", []))
    return counted <= signers - barred(asked) and len(counted) >= max(1, seats)


def consumed(leaf: dict[str, Any], detail: dict[str, Any], past: Past) -> bool:
    asked, about = request_of(leaf, past)
    if asked is None:
        return not past.must_show
    return (
        bool(said(about, ("approval.completed",)))
        and not said(about, ("approval.consumed",))
        and asked.get("run") == leaf.get("run")
    )


AFTER_END = frozenset(
    {
        *("run.started", "run.ended", "run.cancelled", "step.executed", "call.intended"),
        *("call.succeeded", "call.failed", "call.unknown", "answer.released"),
    }
)
OF_REQUESTS = frozenset({"vote.cast", "approval.completed", "approval.consumed"})
RULES: dict[str, Callable[[dict[str, Any], dict[str, Any], Past], bool]] = {
    "step.executed": executed,
    "answer.released": released,
    "call.intended": intended,
    "call.succeeded": succeeded,
    "call.failed": failed_call,
    "call.unknown": unknown,
    "call.resolved": resolved,
    "vote.cast": voted,
    "approval.completed": completed,
    "approval.consumed": consumed,
}
