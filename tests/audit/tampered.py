"""The table of bundles that were tampered with, and what the specification says of each."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.audit import forged
from tests.audit.forged import (
    ENDED,
    ERASED,
    LOG,
    OTHER_RUN,
    PLAN,
    RUN,
    RUN_KEY,
    START,
    WITNESS,
    WORKSPACE,
    Body,
    Forger,
    body,
    decision,
)

LATER = datetime(2026, 11, 2, 10, tzinfo=UTC)
IMPOSTOR = replace(LOG, seed=b"\x07" * 32)
OTHER_LOG = forged.Signer(f"other.example/{WORKSPACE}", b"\x01" * 32)


@dataclass(frozen=True)
class Case:
    """One bundle; `status` 0 is genuine. `arguments` are of the command line, `@name` a file."""

    name: str
    status: int
    position: int | None
    forger: Forger
    arguments: tuple[str, ...] = ()
    brought: dict[str, str] = field(default_factory=dict)


def whole(**hands: Callable[[Any], Any]) -> Forger:
    return Forger(hands=hands)


def run_bundle(**more: Any) -> Forger:
    return Forger("run", 2, 29, run=RUN, shows=lambda entry: entry.get("run") == RUN, **more)


def search(**more: Any) -> Forger:
    chosen = ("vote.cast", "member.added")
    return Forger("search", shows=lambda entry: entry["action"] in chosen, **more)


# --- ways to put a hand in ------------------------------------------------------------------


def at(place: int, **changed: Any) -> Forger:
    """A whole log whose entry at `place` has other fields; None takes one away."""

    def change(bodies: list[Body]) -> None:
        bodies[place].update(changed)
        for name in [name for name, value in changed.items() if value is None]:
            del bodies[place][name]

    return whole(bodies=change)


def detail(place: int, **changed: Any) -> Forger:
    def change(bodies: list[Body]) -> None:
        told = {**bodies[place].get("detail", {}), **changed}
        bodies[place]["detail"] = {n: value for n, value in told.items() if value is not None}

    return whole(bodies=change)


def without(*places: int) -> Forger:
    return whole(bodies=lambda all_: [one for n, one in enumerate(all_) if n not in places])


def inserted(place: int, *entries: Body) -> Forger:
    return whole(bodies=lambda all_: [*all_[:place], *entries, *all_[place:]])


def moved(source: int, target: int) -> Forger:
    def change(bodies: list[Body]) -> None:
        bodies.insert(target, bodies.pop(source))

    return whole(bodies=change)


def bytes_of(place: int, old: bytes, new: bytes) -> Forger:
    """Other bytes of one leaf, with everything after it made to fit."""

    def change(leaves: list[bytes]) -> None:
        assert old in leaves[place]
        leaves[place] = leaves[place].replace(old, new, 1)

    return whole(leaves=change)


def member(name: str, change: Callable[[bytes], bytes], forger: Forger | None = None) -> Forger:
    """Another member, listed and signed as it is now."""

    def hand(members: dict[str, bytes]) -> None:
        members[name] = change(members[name])

    return replace(forger or Forger(), hands={"members": hand})


def rows(change: Callable[[list[bytes]], Any], forger: Forger | None = None) -> Forger:
    return replace(forger or Forger(), hands={"rows": change})


def payload_rows(change: Callable[[list[Body]], Any], forger: Forger | None = None) -> Forger:
    def hand(data: bytes) -> bytes:
        told = [json.loads(line) for line in data.splitlines()]
        changed = change(told)
        kept_ = changed if isinstance(changed, list) else told
        return forged.lines([forged.canonical(one) for one in kept_])

    return member("payloads.jsonl", hand, forger)


def jsonl(name: str, change: Callable[[list[Body]], Any], forger: Forger) -> Forger:
    def hand(data: bytes) -> bytes:
        told = [json.loads(line) for line in data.splitlines()]
        change(told)
        return forged.lines([forged.canonical(one) for one in told])

    return member(name, hand, forger)


def proof(change: Callable[[Body], Any], forger: Forger | None = None) -> Forger:
    def hand(data: bytes) -> bytes:
        told = json.loads(data)
        change(told)
        return forged.canonical(told)

    return member("proofs.json", hand, forger)


def told(change: Callable[[Body], Any], forger: Forger | None = None) -> Forger:
    """Another predicate, signed."""
    hands = {"statement": lambda made: change(made["predicate"])}
    return replace(forger or Forger(), hands=hands)


def files(change: Callable[[dict[str, bytes]], Any]) -> Forger:
    """Other files, after everything was signed."""
    return whole(files=change)


def put(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members[name] = data

    return change


def take(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        del members[name]

    return change


def spoilt(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members[name] += b" "

    return change


def lacking(name: str) -> Callable[[Body], object]:
    return lambda value: value.pop(name)


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


def setting(**changed: Any) -> Callable[[Body], None]:
    def change(value: Body) -> None:
        value.update(changed)

    return change


def swap(all_: list[Any], one: int, other: int) -> None:
    all_[one], all_[other] = all_[other], all_[one]


def lowered(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


def flipped(proof_: list[str]) -> None:
    proof_[0] = proof_[0][:-1] + ("0" if proof_[0][-1] != "0" else "1")


def stamp(seconds: int) -> str:
    moment = START + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def kept_at(size: int, bodies: list[Body] | None = None) -> str:
    """A checkpoint that an auditor kept."""
    leaves = Forger().chained(forged.story() if bodies is None else bodies)
    hashes = [forged.leaf_hash(leaf) for leaf in leaves[:size]]
    return forged.note(forged.head(len(hashes), forged.root(hashes)))


def other_story() -> list[Body]:
    entries = forged.story()
    entries[0]["detail"]["name"] = "Receivables"
    return entries


def longer_story() -> list[Body]:
    return [*forged.story(), body("export.made", "system")]


def sized(count: int) -> Callable[[], list[Body]]:
    return lambda: [body("note.taken", "dan", number=n) for n in range(count)]


POLICY = f"log {LOG.key}\nwitness one {WITNESS.key}\nquorum one\n"
TWO = (
    f"witness one {WITNESS.key}\nwitness two {forged.SECOND_WITNESS.key}\n"
    "group both all one two\nquorum both\n"
)
COSIGNED = ((WITNESS, LATER),)


def genuine() -> Iterator[Case]:
    yield Case("whole", 0, None, Forger())
    yield Case("range from the start", 0, None, Forger("range", 0, 20))
    yield Case("range", 0, None, Forger("range", 5, 20))
    yield Case("range of one", 0, None, Forger("range", 7, 8))
    yield Case("range with earlier ones", 0, None, Forger("range", 20, 30, earlier=[3, 16, 25, 34]))
    yield Case("one run", 0, None, run_bundle())
    yield Case("a search", 0, None, search())
    yield Case("masked", 0, None, Forger(payloads=False))
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65):
        yield Case(f"{count} entries", 0, None, Forger(log=sized(count)))
        if count > 2:
            middle = Forger("range", count // 2, count - 1, log=sized(count), earlier=[1, count])
            yield Case(f"middle of {count}", 0, None, middle)
    for size in (1, 8, 20, 35, 36):
        forger = Forger("range", 10, 30, kept=[1, 8, 35])
        yield Case(f"kept {size}", 0, None, forger, ("--seen", "@kept"), {"kept": kept_at(size)})
    yield Case("cosigned", 0, None, Forger(cosigners=COSIGNED), ("--policy", "@p"), {"p": POLICY})
    yield Case("unknown signatures", 0, None, Forger(cosigners=COSIGNED))
    yield Case("as wide as integers go", 0, None, detail(35, most=2**53 - 1, least=1 - 2**53))
    yield Case("32 deep", 0, None, detail(35, deep=nested(30)))
    yield Case(
        "text of all kinds", 0, None, detail(35, text='é e\u0301 \u2028 😀 \x7f \x1f \\ " /')
    )
    yield Case("a version", 0, None, at(35, subject={"type": "a", "id": "b", "version": "3"}))
    yield Case("a trace", 0, None, at(35, trace="ab" * 16))


def nested(depth: int) -> Any:
    value: Any = True
    for _ in range(depth):
        value = [value]
    return value


def container() -> Iterator[Case]:
    def case(name: str, forger: Forger, status: int = 10) -> Case:
        return Case(name, status, None, forger)

    yield case("manifest.json taken out", files(take("manifest.json")))
    yield case("space after the manifest", files(lambda f: f.update(spaced(f))), 0)
    for name in ("checkpoint", "entries.jsonl", "checkpoints.jsonl", "proofs.json"):
        yield case(f"{name} taken out", files(take(name)))
        yield case(f"{name} edited", files(spoilt(name)))
    for name in ("related.jsonl", "payloads.jsonl"):
        yield case(f"{name} never there", whole(members=take(name)))
    yield case("README taken out", files(take("README.txt")))
    yield case("README edited", files(put("README.txt", b"All is well.")))
    yield case("README never there", whole(members=take("README.txt")), 0)
    yield case("a file smuggled in", files(put("notes.txt", b"")))
    yield case("a file smuggled in and listed", whole(members=put("notes.txt", b"")))
    yield case("a known file smuggled in", files(put("report.html", b"")))
    yield case("bytes told wrong", told(lambda p: p["sizes"].update({"README.txt": 1})))
    yield case("bytes told of nothing", told(lambda p: p["sizes"].update({"report.html": 1})))
    yield case("bytes not told", told(lambda p: p["sizes"].pop("README.txt")))
    yield case("no sizes", told(lambda p: p.pop("sizes")))
    for name, value in {
        "workspace": RUN,
        "origin": OTHER_LOG.name,
        "size": 35,
        "root": "00" * 32,
        "first": -1,
        "end": "36",
        "scope": {"kind": "everything"},
        "payloads": "yes",
    }.items():
        yield case(f"{name} told wrong", told(setting(**{name: value})))
        yield case(f"{name} not told", told(lacking(name)))
    yield case("run not told", told(setting(scope={"kind": "run"})))
    yield case("true for a position", told(setting(first=False)))
    yield case(
        "another statement", whole(statement=setting(_type="https://in-toto.io/Statement/v0"))
    )
    yield case("another predicate", whole(statement=setting(predicateType="https://a.example/1")))
    yield case(
        "a member listed twice", whole(statement=lambda s: s["subject"].append(s["subject"][0]))
    )
    yield case("more told than asked", told(setting(remark="fine")), 0)
    yield case("another payload type", whole(envelope=setting(payloadType="text/plain")))
    yield case("no signature", whole(envelope=setting(signatures=[])))
    yield case(
        "another's signature", whole(envelope=setting(signatures=[{"sig": "AA" * 43 + "=="}]))
    )
    yield case("a second, foreign signature", whole(envelope=foreign), 0)
    yield case("a manifest of another key", Forger(signer=IMPOSTOR))
    yield case("base64 without padding", whole(envelope=lambda e: e.update(payload=unpadded(e))))
    yield from (case(*one) for one in malformed_members())


def spaced(members: dict[str, bytes]) -> dict[str, bytes]:
    return {"manifest.json": members["manifest.json"] + b" \n"}


def unpadded(envelope: Body) -> str:
    return str(envelope["payload"]).rstrip("=") + " "


def foreign(envelope: Body) -> None:
    envelope["signatures"].insert(0, {"keyid": "x", "sig": base64.b64encode(bytes(64)).decode()})


def malformed_members() -> Iterator[tuple[str, Forger]]:
    yield "proofs that are no JSON", member("proofs.json", lambda d: b"{")
    yield "proofs with a key twice", member("proofs.json", lambda d: d[:-1] + b',"left":[]}')
    yield "proofs with a fraction", member("proofs.json", lambda d: d[:-1] + b',"x":1.0}')
    yield "proofs with more", proof(setting(more=[]))
    yield "proofs with less", proof(lambda p: p.pop("right"))
    yield "proofs in capitals", proof(setting(left=["AB" * 32]))
    yield "a short hash in a proof", proof(setting(right=["ab" * 31]))
    yield "a size with zeros", proof(setting(consistency={"03": []}))
    yield "a list for the proofs", member("proofs.json", lambda d: b"[]")
    yield "two objects for the proofs", member("proofs.json", lambda d: d + d)
    yield "a mark before the proofs", member("proofs.json", lambda d: b"\xef\xbb\xbf" + d)
    yield "proofs in UTF-16", member("proofs.json", lambda d: d.decode().encode("utf-16"))
    yield "NaN in the proofs", proof(setting(left=float("nan")))
    yield "deep proofs", member("proofs.json", lambda d: b"[" * 100_000 + b"]" * 100_000)
    yield "entries without end", member("entries.jsonl", lambda d: d[:-1])
    yield "payloads without end", member("payloads.jsonl", lambda d: d[:-1])
    yield "related without end", member("related.jsonl", lambda d: d + b"{}")
    yield "a payload with a key twice", member("payloads.jsonl", twin)
    yield "a payload with more", payload_rows(lambda p: p[1].update(note="x"))
    yield "a payload with less", payload_rows(lambda p: p[1].pop("salt"))
    yield "a payload both shown and not", payload_rows(lambda p: p[1].update(state="erased"))
    yield "a payload at true", payload_rows(lambda p: p[0].update(i=True))
    yield "a payload that is a list", member("payloads.jsonl", lambda d: d + b"[]\n")
    yield "an empty line of payloads", member("payloads.jsonl", lambda d: d + b"\n")
    yield "a salt that is not base64", payload_rows(lambda p: p[1].update(salt="?"))
    yield "a salt in URL base64", payload_rows(lambda p: p[1].update(salt="_" * 43 + "="))
    early = Forger("range", 3, 9, earlier=[4])
    yield "an earlier one with more", jsonl("checkpoints.jsonl", lambda c: c[0].update(x=1), early)
    yield "an earlier one with less", jsonl("checkpoints.jsonl", lambda c: c[0].pop("note"), early)
    yield "a related one with more", jsonl("related.jsonl", lambda r: r[0].update(x=1), early)
    yield "a related one before 0", jsonl("related.jsonl", lambda r: r[0].update(i=-1), early)
    yield "a hash in capitals", rows(lambda r: r.__setitem__(0, b'"' + b"AB" * 32 + b'"'))
    yield "a short hash", rows(lambda r: r.__setitem__(0, b'"' + b"ab" * 31 + b'"'))
    for name, old, new in (
        ("an extension line", b"\n\n", b"\nmore\n\n"),
        ("a size with a zero", b"\n36\n", b"\n036\n"),
        ("a size with a sign", b"\n36\n", b"\n+36\n"),
        ("no empty line", b"\n\n", b"\n"),
        ("carriage returns", b"\n", b"\r\n"),
        ("a hyphen for the dash", "—".encode(), b"-"),
    ):
        yield f"checkpoint: {name}", member("checkpoint", replacing(old, new))
    yield "checkpoint: no last newline", member("checkpoint", lambda d: d[:-1])
    yield (
        "checkpoint: another's origin",
        member("checkpoint", lambda d: d.replace(b"log.", b"lag.")),
    )
    yield "checkpoint: not UTF-8", member("checkpoint", lambda d: b"\xff" + d)


def twin(data: bytes) -> bytes:
    return data.replace(b'{"i":1,', b'{"i":1,"i":1,', 1)


def outside() -> Iterator[Case]:
    """Checks 11, 12, 16 and 17."""
    two_keys = ("--key", LOG.key)
    yield Case("all by another key", 10, None, Forger(signer=IMPOSTOR), two_keys)
    lone = member("checkpoint", lambda d: d[: d.index(b"\n\n") + 2] + line(IMPOSTOR, d))
    yield Case("checkpoint by another key", 11, None, lone)
    nobody = member("checkpoint", lambda d: d[: d.index(b"\n\n") + 2] + line(WITNESS, d))
    yield Case("checkpoint by nobody of ours", 11, None, nobody)
    both = member("checkpoint", lambda d: d + line(IMPOSTOR, d))
    yield Case("checkpoint by both", 0, None, both)
    torn = member("checkpoint", lambda d: d[: d.index(b"\n\n") + 2] + torn_line(d) + line(LOG, d))
    yield Case("a broken line of ours, then a good one", 0, None, torn)
    early = Forger("range", 10, 20, earlier=[4])
    unsigned = jsonl("checkpoints.jsonl", lambda c: c[0].update(note=impostors(c[0])), early)
    yield Case("earlier by another key", 11, None, unsigned)
    strange = jsonl("checkpoints.jsonl", lambda c: c[0].update(note=strangers(c[0])), early)
    yield Case("earlier of another log", 11, None, strange)
    policy = ("--policy", "@p")
    yield Case("no cosignature", 12, None, Forger(), policy, {"p": POLICY})
    yield Case("one of two", 12, None, Forger(cosigners=COSIGNED), policy, {"p": TWO})
    twice = Forger(cosigners=COSIGNED * 2)
    yield Case("one twice for two", 12, None, twice, policy, {"p": TWO})
    pair = Forger(cosigners=(*COSIGNED, (forged.SECOND_WITNESS, LATER)))
    yield Case("two of two", 0, None, pair, policy, {"p": TWO})
    stale = member("checkpoint", lambda d: d + WITNESS.cosignature(kept_at(20), LATER).encode())
    yield Case("a cosignature of another checkpoint", 12, None, stale, policy, {"p": POLICY})
    plain = member("checkpoint", lambda d: d + line(WITNESS, d))
    yield Case("a witness's plain signature", 12, None, plain, policy, {"p": POLICY})
    yield from kept()


def kept() -> Iterator[Case]:
    def case(name: str, status: int, note: str, forger: Forger | None = None) -> Case:
        return Case(name, status, None, forger or Forger(), ("--seen", "@k"), {"k": note})

    yield case("kept of another history", 16, kept_at(20, other_story()))
    yield case("kept of another history, same size", 16, kept_at(36, other_story()))
    yield case("kept larger", 17, kept_at(37, longer_story()))
    yield case("kept larger, of another history", 17, kept_at(37, [*other_story(), body("a.b")]))
    ranged = Forger("range", 10, 20)
    yield case("kept without a proof", 16, kept_at(4), ranged)
    yield case("kept beyond the range", 16, kept_at(30), ranged)
    yield case("kept inside the range", 0, kept_at(15), ranged)
    yield case("kept at its start", 0, kept_at(10), ranged)
    yield case("kept at its end", 0, kept_at(20), ranged)
    yield case("kept inside, of another history", 16, kept_at(15, other_story()), ranged)
    wrong = proof(lambda p: flipped(p["consistency"]["4"]), replace(ranged, kept=[4]))
    yield case("kept with a wrong proof", 16, kept_at(4), wrong)
    yield case("kept empty", 0, kept_at(0))
    yield case("kept that is none", 3, "log.example\n")
    early = Forger("range", 10, 20, earlier=[4, 15])
    split = jsonl(
        "checkpoints.jsonl", lambda c: c[1].update(note=kept_at(15, other_story())), early
    )
    yield Case("earlier of another history", 16, None, split)
    none = proof(lambda p: p["consistency"].clear(), early)
    yield Case("earlier without a proof", 16, None, none)
    beyond = jsonl(
        "checkpoints.jsonl", lambda c: c[0].update(note=kept_at(37, longer_story())), early
    )
    yield Case("earlier that is larger", 16, None, beyond)
    age = ("--max-age", "60")
    yield Case("too old", 17, None, Forger(), age)
    recent = Forger(log=lambda: [{**body("note.taken"), "time": now(-1)}])
    yield Case("young enough", 0, None, recent, age)
    seen = Forger(cosigners=[(WITNESS, datetime.now(UTC))])
    # Made when the tests are collected, which may be minutes before this one runs.
    known = ("--policy", "@p", "--max-age", "3600")
    yield Case("seen a moment ago", 0, None, seen, known, {"p": POLICY})


def now(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def text_of(data: bytes) -> str:
    return data[: data.index(b"\n\n") + 1].decode()


def line(signer: forged.Signer, data: bytes) -> bytes:
    return signer.line(text_of(data)).encode()


def torn_line(data: bytes) -> bytes:
    return LOG.line("something else\n").encode()


def impostors(earlier: Body) -> str:
    return forged.note(text_of(earlier["note"].encode()), IMPOSTOR)


def strangers(earlier: Body) -> str:
    text = text_of(earlier["note"].encode()).replace("log.", "other.")
    return forged.note(text, OTHER_LOG)


def placed() -> Iterator[Case]:
    """Check 14."""
    case, ranged = Case, Forger("range", 5, 20)
    yield case("an entry left out", 14, None, rows(lambda r: r.pop(7)))
    yield case("the last left out", 14, None, rows(lambda r: r.pop()))
    yield case("an entry twice", 14, 8, rows(lambda r: r.insert(7, r[7])))
    yield case("nothing at all", 14, None, rows(lambda r: r.clear()))
    yield case("a hash in a whole log", 14, 3, rows(hashed(3)))
    yield case("a hash in a range", 14, 8, rows(hashed(3), ranged))
    yield case("only hashes", 14, None, replace(search(), shows=lambda entry: False))
    yield case(
        "a run that is not there",
        14,
        None,
        told(setting(scope={"kind": "run", "run": PLAN}), run_bundle()),
    )
    yield case("a part told as the whole", 14, None, Forger("workspace", 5, 20))
    yield case("a start told as the whole", 14, None, Forger("workspace", 0, 20))
    yield case("a range backwards", 14, None, told(setting(first=20, end=5), ranged))
    yield case("an empty range", 14, None, told(setting(first=5, end=5), ranged))
    yield case("a range beyond the tree", 14, None, told(setting(end=37), Forger("range", 0, 36)))
    yield case(
        "an id twice",
        14,
        35,
        whole(bodies=lambda b: b[35].update(time=stamp(34), id=forged.identifier(stamp(34), 34))),
    )
    yield case(
        "a related one that is shown", 14, ERASED, member("related.jsonl", lambda d: related_row())
    )


def included() -> Iterator[Case]:
    """Check 15."""
    case, ranged = Case, Forger("range", 5, 20)
    yield case("two entries swapped", 15, None, rows(lambda r: swap(r, 3, 4)))
    yield case(
        "a leaf edited",
        15,
        None,
        rows(lambda r: r.__setitem__(3, r[3].replace(b"allow", b"never"))),
    )
    yield case(
        "a hidden leaf edited",
        15,
        None,
        rows(lambda r: r.__setitem__(3, b'"' + b"ab" * 32 + b'"'), search()),
    )
    yield case("left edge edited", 15, None, proof(lambda p: flipped(p["left"]), ranged))
    yield case("left edge too long", 15, None, proof(lambda p: p["left"].append("ab" * 32), ranged))
    yield case("left edge of nothing", 15, None, proof(lambda p: p["left"].append("ab" * 32)))
    yield case("right proof edited", 15, None, proof(lambda p: flipped(p["right"]), ranged))
    yield case(
        "right proof too long", 15, None, proof(lambda p: p["right"].append("ab" * 32), ranged)
    )
    yield case("right proof of nothing", 15, None, proof(lambda p: p["right"].append("ab" * 32)))
    yield case("right proof missing", 15, None, proof(lambda p: p["right"].clear(), ranged))
    yield case("a range shifted", 15, None, told(setting(first=6, end=21), ranged))
    yield case(
        "a related one edited",
        15,
        ERASED,
        jsonl(
            "related.jsonl",
            lambda r: r[0].update(leaf=r[0]["leaf"].replace("carol", "caron")),
            ranged,
        ),
    )
    yield case(
        "a related one elsewhere",
        15,
        32,
        jsonl("related.jsonl", lambda r: r[0].update(i=32), ranged),
    )
    yield case(
        "a related one beyond", 15, 99, jsonl("related.jsonl", lambda r: r[0].update(i=99), ranged)
    )
    yield case(
        "a related path cut",
        15,
        ERASED,
        jsonl("related.jsonl", lambda r: r[0]["path"].pop(), ranged),
    )
    forged_one = jsonl(
        "related.jsonl", lambda r: r.append({**r[0], "leaf": certificate(RUN_KEY)}), ranged
    )
    yield case("a forged certificate", 15, ERASED, forged_one)


def certificate(key: str) -> str:
    entry = body("subject.erased", "carol", keys=[key])
    entry |= {"time": stamp(33), "id": forged.identifier(stamp(33), 77)}
    return forged.canonical(entry).decode()


def related_row(place: int = ERASED) -> bytes:
    leaves = Forger().chained(forged.story())
    path = [one.hex() for one in forged.path(place, [forged.leaf_hash(leaf) for leaf in leaves])]
    row = {"i": place, "leaf": leaves[place].decode(), "path": path}
    return forged.lines([forged.canonical(row)])


def hashed(place: int) -> Callable[[list[bytes]], None]:
    def change(all_: list[bytes]) -> None:
        all_[place] = b'"' + forged.leaf_hash(all_[place]).hex().encode() + b'"'

    return change


def form() -> Iterator[Case]:
    """Check 18, at the last entry, so that nothing follows from it."""
    last = forged.ENTRIES - 1
    for name, old, new in (
        ("a space", b'"v":1', b'"v": 1'),
        ("a fraction", b'"v":1', b'"v":1.0'),
        ("an exponent", b'"v":1', b'"v":1e0'),
        ("a key twice", b'"v":1', b'"v":1,"v":1'),
        (
            "keys out of order",
            b'"id":"export.requested","type":"export"',
            b'"type":"export","id":"export.requested"',
        ),
        ("an escape too many", b"dan", b"\\u0064an"),
        ("an escaped slash", b"Dan", b"D\\/n"),
        ("capitals in an escape", b"Dan", b"\\u001F"),
        ("a lone surrogate", b"Dan", b"\\ud800"),
        ("a byte that is no UTF-8", b"Dan", b"\xff"),
        ("overlong UTF-8", b"Dan", b"\xc0\xaf"),
        ("a raw control", b"Dan", b"D\x01n"),
        ("a NUL", b"Dan", b"D\\u0000n"),
        ("null", b'"v":1', b'"trace":null,"v":1'),
        ("minus zero", b'"v":1', b'"detail":{"a":-0},"v":1'),
        ("a wide integer", b'"v":1', b'"v":9007199254740992'),
        ("an endless integer", b'"v":1', b'"v":' + b"9" * 5000),
        ("NaN", b'"v":1', b'"v":NaN'),
        ("a carriage return", b"}", b"}\r"),
        ("a mark before it", b'{"action"', b'\xef\xbb\xbf{"action"'),
        ("a list", b"{", b"[{"),
        ("another version", b'"v":1', b'"v":2'),
        ("true for the version", b'"v":1', b'"v":true'),
    ):
        yield Case(f"form: {name}", 18, last, bytes_of(last, old, new))
    yield Case(
        "form: an empty line", 18, last, whole(leaves=lambda all_: all_.__setitem__(last, b""))
    )
    yield Case(
        "form: null alone", 18, last, whole(leaves=lambda all_: all_.__setitem__(last, b"null"))
    )
    for name, changed in fields().items():
        yield Case(f"form: {name}", 18, last, at(last, **changed))
    yield Case("form: a run without number", 18, last, without_number(last))
    yield Case("form: too long", 10, None, detail(last, text="x" * 65_535))
    yield Case("form: 33 deep", 18, last, detail(last, deep=nested(31)))
    yield Case("form: an empty key", 18, last, detail(last, **{"": 1}))
    yield Case("form: a key not ASCII", 18, last, detail(last, é=1))
    yield Case("form: a key with NUL", 18, last, detail(last, **{"a\0": 1}))
    in_related = Forger(
        "range",
        5,
        20,
        hands={
            "leaves": lambda all_: all_.__setitem__(
                ERASED, all_[ERASED].replace(b'"v":1', b'"v":2')
            )
        },
    )
    yield Case("form: of a related one", 18, ERASED, in_related)


def without_number(place: int) -> Forger:
    def change(leaves: list[bytes]) -> None:
        leaves[place] = leaves[place].replace(b'"subject"', b'"run":"%s","subject"' % PLAN.encode())

    return whole(leaves=change)


def fields() -> dict[str, dict[str, Any]]:
    one = forged.commitment(RUN_KEY, b"x", 1)
    return {
        "a field too many": {"extra": 1},
        "no actor": {"actor": None},
        "no subject": {"subject": None},
        "an actor of another type": {"actor": {"type": "robot", "id": "a", "name": "b"}},
        "an actor with more": {"actor": {**forged.person("dan"), "role": "auditor"}},
        "an actor with less": {"actor": {"type": "user", "id": "dan"}},
        "an actor whose id is a number": {"actor": {"type": "user", "id": 1, "name": "b"}},
        "a mandate with more": {"on_behalf_of": {**forged.person("dan"), "role": "auditor"}},
        "a subject with more": {"subject": {"type": "a", "id": "b", "name": "c"}},
        "a subject with a numeric version": {"subject": {"type": "a", "id": "b", "version": 1}},
        "an action in capitals": {"action": "Export.made"},
        "an action without dot": {"action": "export"},
        "an action with two dots": {"action": "a.b.c"},
        "an action with a newline": {"action": "a.b\n"},
        "an action with a number": {"action": "a1.b"},
        "detail that is a list": {"detail": []},
        "payloads that are a list": {"payloads": []},
        "a commitment with more": {"payloads": {"a": {**one, "x": 1}}},
        "a commitment with less": {"payloads": {"a": {"commitment": "ab" * 32}}},
        "a commitment in capitals": {"payloads": {"a": {**one, "commitment": "AB" * 32}}},
        "a key that is no UUID": {"payloads": {"a": {**one, "key": "x"}}},
        "a length below 0": {"payloads": {"a": {**one, "length": -1}}},
        "a true length": {"payloads": {"a": {**one, "length": True}}},
        "another media type": {"payloads": {"a": {**one, "media": "text/html"}}},
        "a trace in capitals": {"trace": "AB" * 16},
        "a short trace": {"trace": "ab" * 15},
        "another workspace": {"workspace": RUN},
        "a workspace in capitals": {"workspace": WORKSPACE.upper()},
        "a number without run": {"run_seq": 1},
        "a run in capitals": {"run": PLAN.upper()},
        "a run number 0": {"run": PLAN, "run_seq": 0},
        "a true run number": {"run": PLAN, "run_seq": True},
        "a link at the start": {"run": PLAN, "prev": "ab" * 32},
        "no link": {"run": PLAN, "run_seq": 2},
        "a link without run": {"prev": "ab" * 32},
        "an id of another time": {"id": forged.identifier(stamp(36), 35)},
        "an id of version 4": {"id": PLAN},
        "an id of another variant": {
            "id": forged.identifier(stamp(35), 35)[:19]
            + "0"
            + forged.identifier(stamp(35), 35)[20:]
        },
        "an id in capitals": {"id": forged.identifier(stamp(35), 0xABC).upper()},
        "an id with braces": {"id": "{" + forged.identifier(stamp(35), 35) + "}"},
        "a time without fraction": timed("2026-11-02T09:00:35Z"),
        "a time with an offset": timed("2026-11-02T09:00:35.123456+00:00"),
        "a time with a space": timed("2026-11-02 09:00:35.123456Z"),
        "a second 60": timed("2026-11-02T09:00:60.123456Z"),
        "an hour 24": timed("2026-11-02T24:00:00.000000Z"),
        "a 31st of November": timed("2026-11-31T09:00:00.000000Z"),
        "Arabic digits": timed("2026-11-02T09:00:3\u0665.123456Z"),
    }


def timed(text: str) -> dict[str, Any]:
    return {"time": text, "id": forged.identifier(stamp(35), 35)}


def chains() -> Iterator[Case]:
    """Check 19."""

    def case(name: str, position: int | None, forger: Forger, status: int = 19) -> Case:
        return Case(name, status, position, forger)

    def numbered(place: int, seq: int, **more: Any) -> Forger:
        return at(place, run_seq=seq, **more)

    yield case("a run that starts at 2", 2, numbered(2, 2, prev="ab" * 32))
    yield case("a number left out", 28, numbered(28, 26))
    yield case("a number twice", 28, numbered(28, 24))
    yield case("a number backwards", 28, numbered(28, 2))
    yield case("a wrong link", 28, at(28, prev="ab" * 32))
    yield case("two heads of one run", 28, numbered(28, 1), 18)
    late = Forger("range", 20, 30, hands={"bodies": lambda b: b[28].update(run_seq=26)})
    yield case("a gap in a range", 28, late)
    wrong = Forger("range", 20, 30, hands={"bodies": lambda b: b[28].update(prev="ab" * 32)})
    yield case("a wrong link in a range", 28, wrong)
    yield case("a run without its start", 4, replace(run_bundle(), first=4))
    yield case("a run not to its end", None, replace(run_bundle(), end=28))
    opened = replace(run_bundle(), end=28)
    yield Case("a run not to its end, accepted", 0, None, opened, ("--allow-open",))
    hole = replace(run_bundle(), shows=lambda e: e.get("run") == RUN and e["action"] != "vote.cast")
    yield case("a run with holes", 16, hole)
    seqs = search(hands={"bodies": lambda b: b[15].update(run_seq=3)})
    yield case("a search with numbers backwards", 15, seqs)
    links = search(hands={"bodies": lambda b: b[15].update(prev="ab" * 32)})
    yield case("a search with a wrong link", 15, links)


def payloads() -> Iterator[Case]:
    """Checks 20 and 21."""

    def case(
        name: str, status: int, position: int | None, change: Any, forger: Forger | None = None
    ) -> Case:
        return Case(name, status, position, payload_rows(change, forger))

    yield case("content edited", 20, 2, lambda p: p[1].update(data=forged.b64(b"pay")))
    yield case("content longer", 20, 2, lambda p: p[1].update(data=forged.b64(b"Pay!")))
    yield case("salt edited", 20, 2, lambda p: p[1].update(salt=forged.b64(bytes(32))))
    yield case(
        "salt with a zero", 20, 2, lambda p: p[1].update(salt=forged.b64(forged.salt(2) + b"\0"))
    )
    yield case("contents swapped", 20, 2, lambda p: swap_values(p[1], p[2]))
    yield case("a payload nobody named", 20, 2, lambda p: p[1].update(name="aim"))
    yield case("a payload of an entry without", 20, 3, lambda p: p.insert(3, {**p[2], "i": 3}))
    yield case("a payload beyond the log", 20, 40, lambda p: p.append({**p[-1], "i": 40}))
    yield case("a payload twice", 20, 2, lambda p: p.insert(1, p[1]))
    yield case("payloads out of order", 20, 2, lambda p: swap(p, 1, -1))
    yield case(
        "a payload of a hidden entry",
        20,
        2,
        lambda p: p.insert(1, {"i": 2, "name": "goal", "state": "withheld"}),
        search(payloads=False),
    )
    yield case("a payload left out", 21, 2, lambda p: p.pop(1))
    yield case("all left out", 21, 1, lambda p: p.clear())
    yield case("a payload in another state", 21, 1, lambda p: p[0].update(state="lost"))
    yield case("a payload withheld among shown", 21, 2, lambda p: withheld(p[1]))
    yield case("names in another order", 0, None, lambda p: swap(p, 1, 2))
    yield case("an erasure that was none", 21, 2, lambda p: withheld(p[1], "erased"))
    yield case("an expiry that was none", 21, 2, lambda p: withheld(p[1], "expired"))
    yield case("erased told as expired", 21, 1, lambda p: p[0].update(state="expired"))
    yield Case("a certificate of others", 21, 1, detail(ERASED, keys=[RUN_KEY]))
    yield Case("a certificate of nothing", 21, 1, detail(ERASED, keys=None))
    yield Case("no certificate", 21, 1, without(ERASED))
    yield Case("erased before it was recorded", 21, 2, moved(ERASED, 0))
    again = body("subject.erased", "carol", keys=[forged.PERSON_KEY])
    yield Case("erased before, and again", 0, None, inserted(0, again))
    yield Case("erased before the range", 21, 2, replace(moved(ERASED, 0), kind="range", first=1))
    hidden = Forger("search", shows=lambda entry: entry["action"] == "member.added")
    between = {"bodies": lambda b: b.__setitem__(34, copy.deepcopy(b[1]))}
    yield Case("erased between two, hidden", 21, 34, replace(hidden, hands=between))
    early = payload_rows(lambda p: withheld(p[1], "expired"))
    for name, status, before in (
        ("expired by one who knew the future", 21, stamp(37)),
        ("expired", 0, stamp(20)),
        ("expired too early", 21, stamp(2)),
        ("expired a moment later", 0, stamp(3)),
        ("expired without a time", 21, ""),
    ):
        yield Case(name, status, 2 if status else None, replace(early, log=expiring(before)))


def expiring(before: str) -> Callable[[], list[Body]]:
    return lambda: [*forged.story(), body("payloads.expired", "system", before=before)]


def swap_values(one: Body, other: Body) -> None:
    for name in ("salt", "data"):
        one[name], other[name] = other[name], one[name]


def withheld(row: Body, state: str = "withheld") -> None:
    del row["salt"], row["data"]
    row["state"] = state


def times() -> Iterator[Case]:
    """Check 22."""
    last = forged.ENTRIES - 1

    def when(place: int, seconds: int) -> Forger:
        return at(place, time=stamp(seconds))

    yield Case("a time a little back", 0, None, when(last, -260))
    yield Case("a time far back", 22, last, when(last, -270))
    yield Case("a time back, other skew", 22, last, when(last, 20), ("--skew", "5"))
    yield Case("a time in the future", 22, last, at(last, time=now(900)))
    yield Case("a time a little in the future", 0, None, at(last, time=now(200)))
    policy = (("--policy", "@p"), {"p": POLICY})
    soon = Forger(cosigners=[(WITNESS, START - timedelta(seconds=280))])
    yield Case("seen before it was written", 22, 20, soon, *policy)
    near = Forger(cosigners=[(WITNESS, START - timedelta(seconds=260))])
    yield Case("seen by a clock that is slow", 0, None, near, *policy)
    two = Forger(cosigners=[(WITNESS, START - timedelta(seconds=280)), (WITNESS, LATER)])
    yield Case("seen twice, once too early", 22, 20, two, *policy)


def lived(name: str, position: int | None, forger: Forger) -> Case:
    """Check 23 names `position`, or is content; the number in the name is a rule of §8."""
    return Case(f"lifecycle {name}", 0 if position is None else 23, position, forger)


CALL: dict[str, Any] = {"step": 2, "seq": 0, "tool": "pay", "effect": "write", "request": PLAN}


def after(past: str, **more: Any) -> Forger:
    """Something more after the run's end."""
    return inserted(ENDED + 1, body(past, run=RUN, **more))


def steps() -> Iterator[Case]:
    case = lived
    yield case("1: a second start", 29, after("run.started"))
    yield case("1: a second end", 29, after("run.cancelled"))
    yield case("1: a step", 29, after("step.executed", step=2))
    yield case("1: a call fails", 29, after("call.failed", **CALL))
    yield case("1: an answer", 29, after("answer.released", step=2))
    yield case("1: a remark", None, after("run.noted"))
    yield case("1: a decision", None, after("decision.made", action="execute", outcome="allow"))
    yield case("1: never started", 6, without(2))
    yield case("1: never started, cancelled", 25, without(10))
    yield case("2: no decision", 8, without(5))
    yield case("2: denied", 9, detail(5, outcome="deny"))
    yield case("2: decided anew", 10, inserted(9, decision("execute", "deny", step=1)))
    yield case("2: of another step", 9, detail(5, step=9))
    yield case("2: step true for 1", 9, detail(5, step=True))
    yield case("2: of another action", 9, detail(5, action="release"))
    yield case("2: of another run", 9, whole(bodies=lambda b: b[5].update(run=OTHER_RUN)))
    yield case("2: review of another kind", 24, detail(13, kind="manifest"))
    yield case("2: review of another step", 24, detail(13, step=1))
    yield case("3: no decision", 26, without(25))
    yield case("3: not for that answer", 27, detail(25, outcome="review"))


def calls() -> Iterator[Case]:
    case = lived
    yield case("4: no decision", 6, without(6))
    yield case("4: denied", 7, detail(6, outcome="deny"))
    yield case("4: of another call", 7, detail(6, call=1))
    yield case("4: of another tool", 7, detail(6, action="call:pay"))
    yield case("4: of no tool", None, detail(6, action="call"))
    yield case(
        "4: another tool's decision last",
        8,
        inserted(7, decision("call:pay", "allow", step=1, call=0)),
    )
    yield case("4: review without request", 19, detail(19, request=None))
    yield case("4: another request", 19, detail(19, request="other"))
    yield case("4: request not used", 18, without(17))
    yield case("4: allowed, naming an unused request", 7, detail(7, request=PLAN))
    yield case("5: success of another tool", 23, detail(23, tool="look"))
    yield case("5: doubt about another tool", 20, detail(20, tool="look"))
    yield case("5: resolved as another tool", None, detail(21, tool="look"))
    yield case("5: success of no tool", None, detail(23, tool=None))
    yield case("5: success of a tool that is no text", None, detail(23, tool=["pay"]))
    yield case("5: with other arguments", 23, argued("ab" * 32, "cd" * 32))
    yield case("5: with the same arguments", None, argued("ab" * 32, "ab" * 32))
    yield case("5: success without intent", 22, without(22))
    yield case("5: read without intent", None, without(7))
    yield case("5: read without intent or decision", 6, without(6, 7))
    yield case(
        "5: write without intent",
        7,
        whole(bodies=lambda b: b.pop(7) and b[7]["detail"].update(effect="write")),
    )
    yield case("5: success twice", 24, inserted(24, body("call.succeeded", run=RUN, **CALL)))
    yield case("5: unknown without intent", 21, inserted(21, body("call.unknown", run=RUN, **CALL)))
    yield case(
        "5: failure without intent", None, inserted(19, body("call.failed", run=RUN, **CALL))
    )
    yield case("5: failure after success", 24, inserted(24, body("call.failed", run=RUN, **CALL)))
    yield case("5: a read twice", 9, inserted(9, copy.deepcopy(forged.story()[8])))
    yield case(
        "5: resolved without intent", 18, inserted(18, body("call.resolved", run=RUN, **CALL))
    )
    yield case(
        "5: resolved after success", 24, inserted(24, body("call.resolved", run=RUN, **CALL))
    )
    yield case("5: resolved twice", 22, inserted(22, body("call.resolved", run=RUN, **CALL)))
    yield case("5: intended, then resolved", None, without(20))
    yield case(
        "5: success after unknown",
        21,
        whole(bodies=lambda b: b.__setitem__(21, body("call.succeeded", run=RUN, **CALL))),
    )
    yield case(
        "5: success after it was resolved",
        22,
        inserted(22, body("call.succeeded", run=RUN, **CALL)),
    )
    yield case("5: success after failure", 24, inserted(23, body("call.failed", run=RUN, **CALL)))


def requests() -> Iterator[Case]:
    case = lived
    for name, seats in {
        "no list": {"count": 2},
        "no count": [{"role": "reviewer"}],
        "a negative count": [{"count": 3}, {"count": -1}],
        "a true count": [{"count": True}, {"count": 1}],
        "a seat that is no object": [2],
    }.items():
        yield case(f"6: {name}", 13, detail(13, requirement=seats))
    yield case("6: a count of 0", None, detail(13, requirement=[{"count": 0}]))
    yield case("6: none said", None, detail(13, requirement=None))
    yield case("6: none said, nobody signs", 14, unsigned())
    yield case("6: a factor that is no text", 13, detail(13, factor=0))
    yield case("6: a factor that is empty", None, detail(13, factor=""))
    yield case("7: without the factor", 14, detail(13, factor="totp"))
    yield case("7: with the factor as text", 14, factored("totp"))
    yield case("7: with another factor", 14, factored(["totp2", 1]))
    yield case("7: with the factor", None, factored(["password", "totp"]))
    yield case("6: opened twice", 14, inserted(14, copy.deepcopy(forged.story()[13])))
    yield case("7: the requester signs", 14, voter(14, "alice"))
    yield case("7: the agent signs", 14, voter(14, "agent"))
    yield case("7: somebody barred signs", 14, voter(14, "dave"))
    yield case("7: somebody barred rejects", None, inserted(14, vote("dave", "reject")))
    yield case("7: carol signs her own change", 30, voter(30, "carol"))


def argued(intent: str, outcome: str) -> Forger:
    def change(bodies: list[Body]) -> None:
        bodies[22]["detail"]["arguments"] = intent
        bodies[23]["detail"]["arguments"] = outcome

    return whole(bodies=change)


def bound(place: int = 13, **other: str | None) -> Forger:
    """Digests at the request and all that follows on it; others at one place."""

    def change(bodies: list[Body]) -> None:
        for at in range(13, 18):
            bodies[at]["detail"] = {**bodies[at].get("detail", {}), "binding": "b"}
            bodies[at]["detail"] |= {"displayed": "d"} if at < 16 else {}
        told = bodies[place]["detail"] | other
        bodies[place]["detail"] = {name: value for name, value in told.items() if value is not None}

    return whole(bodies=change)


def closed(place: int, how: str) -> Forger:
    return inserted(place, body(f"approval.{how}", "system", RUN, subject=PLAN))


def digests() -> Iterator[Case]:
    case = lived
    yield case("7: all name one binding", None, bound())
    yield case("7: of another binding", 14, bound(14, binding="c"))
    yield case("7: of no binding", 14, bound(14, binding=None))
    yield case("7: shown something else", 15, bound(15, displayed="e"))
    yield case("7: a binding nobody asked for", 14, detail(14, binding="b"))
    yield case("7: a question about another binding", 16, bound(14, binding="c", answer="ask"))
    yield case("8: of another binding", 16, bound(16, binding="c"))
    yield case("9: of another binding", 17, bound(17, binding="c"))
    yield case("9: signed after it was rejected", 15, closed(14, "rejected"))
    yield case("9: completed after it was cancelled", 17, closed(16, "cancelled"))
    yield case("9: used after it had expired", 18, closed(17, "expired"))
    yield case("9: superseded after its use", None, closed(18, "superseded"))
    strange = body("approval.rejected", "system", subject="nothing")
    yield case("10: an end of nothing", None, inserted(5, strange))


def approvals() -> Iterator[Case]:
    case = lived
    yield case("8: a signature missing", 15, without(15))
    yield case("8: a rejection for a signature", 16, detail(15, answer="reject"))
    yield case("8: one person twice", 16, detail(16, voters=[{"id": "bob"}, {"id": "bob"}]))
    yield case("8: one person too few", 16, detail(16, voters=[{"id": "bob"}]))
    yield case("8: nobody named", 16, detail(16, voters=None))
    yield case(
        "8: somebody who has not signed", 16, detail(16, voters=[{"id": "bob"}, {"id": "gil"}])
    )
    yield case("8: one person more", None, crowded())
    yield case("8: completed before the votes", 14, moved(16, 14))
    yield case("8: of a change", 30, without(30))
    yield case("9: used without completion", 16, without(16))
    yield case("9: used twice", 18, inserted(18, copy.deepcopy(forged.story()[17])))
    yield case("9: used by another run", 17, whole(bodies=lambda b: b[17].update(run=OTHER_RUN)))
    yield case("9: used by no run", 17, whole(bodies=lambda b: b[17].pop("run") and None))
    yield case("9: of a change, twice", 33, inserted(33, copy.deepcopy(forged.story()[32])))
    yield case("9: of a change, by a run", 32, whole(bodies=lambda b: b[32].update(run=PLAN)))
    yield case("10: vote on nothing", 13, without(13))
    yield case(
        "10: rejection of nothing",
        5,
        inserted(5, {**vote("bob", "reject"), "subject": {"type": "a", "id": "b"}}),
    )
    yield case("10: completion of nothing", 29, without(29, 30))
    yield case("10: use of nothing", 29, without(29, 30, 31))
    yield case("10: in a range from 0", 13, replace(without(13), kind="range", end=20))
    yield case("10: in a later range", None, replace(without(29), kind="range", first=29))
    yield case(
        "10: opened in a later range", 30, replace(voter(30, "carol"), kind="range", first=29)
    )
    yield case("10: use only, in a later range", None, Forger("range", 17, 30))
    yield case("10: in a search", None, search())


def vote(who: str, answer: str) -> Body:
    return body("vote.cast", who, RUN, subject=PLAN, answer=answer)


def voter(place: int, who: str) -> Forger:
    kind = "agent" if who == "agent" else "user"
    return at(place, actor=forged.person(who, kind))


def unsigned() -> Forger:
    def change(bodies: list[Body]) -> None:
        del bodies[13]["detail"]["requirement"]
        bodies[16]["detail"]["voters"] = []
        del bodies[14:16]

    return whole(bodies=change)


def factored(given: object) -> Forger:
    def change(bodies: list[Body]) -> None:
        bodies[13]["detail"]["factor"] = "totp"
        for place in (14, 15):
            bodies[place]["detail"]["factors"] = given

    return whole(bodies=change)


def crowded() -> Forger:
    def change(bodies: list[Body]) -> None:
        bodies[16]["detail"]["voters"].append({"id": "hal"})
        bodies.insert(16, vote("hal", "sign"))

    return whole(bodies=change)


def loose() -> Iterator[Case]:
    """What else could be read in two ways."""

    def chosen(*actions: str) -> Forger:
        return Forger("search", shows=lambda entry: entry["action"] in actions)

    def plain(name: str, status: int, position: int | None, forger: Forger) -> Case:
        return Case(name, status, position, forger)

    few = ("approval.requested", "approval.completed", "approval.consumed")
    yield plain("a search without the votes", 0, None, chosen(*few))
    yield plain("a search for completions", 0, None, chosen("approval.completed"))
    remark = lambda: [body("run.noted", "dan", PLAN), body("note.taken")]  # noqa: E731
    noted = Forger("run", run=PLAN, shows=lambda e: e.get("run") == PLAN, log=remark)
    yield plain("a run of remarks alone", 19, None, noted)
    late = Forger(
        "range", 12, 30, hands={"bodies": lambda b: b[14].update(actor=forged.person("alice"))}
    )
    yield plain("a run whose start is missing is not followed", 0, None, late)
    again = inserted(11, body("run.started", "alice", RUN))
    yield plain("a second start after a call", 23, 11, again)
    yield plain(
        "a second start before any call", 0, None, inserted(5, body("run.started", run=RUN))
    )
    tool = detail(5, action="execute:look")
    yield plain("a decision to execute about a tool", 23, 9, tool)
    yield plain("a step that is a list", 23, 9, detail(9, step=[1]))
    same_list = whole(
        bodies=lambda b: [b[n]["detail"].update(step=[1]) for n in (5, 6, 7, 8, 9)] and None
    )
    yield plain("steps that are equal lists", 0, None, same_list)
    yield plain("a request that is a list", 23, 19, detail(19, request=[PLAN]))
    elsewhere = run_bundle(hands={"bodies": lambda b: b[13].update(run=OTHER_RUN)})
    yield plain("a request of another run", 23, 19, elsewhere)
    broken = {"i": 40, "name": "x", "salt": "?", "data": ""}
    yield plain("base64 that nobody asks for", 10, None, payload_rows(lambda p: p.append(broken)))
    odd = member("checkpoint", lambda d: d + b"\xe2\x80\x94 a+b AAAAAAAA\n")
    yield plain("a name with a plus", 10, None, odd)
    yield plain("voters that are texts", 23, 16, detail(16, voters=["bob", "erin"]))
    yield plain("barred that is a text", 23, 13, detail(13, barred="dave"))
    yield plain(
        "resolved after the end",
        0,
        None,
        inserted(ENDED + 1, body("call.resolved", run=RUN, **CALL)),
    )
    yield plain(
        "a decision that is null",
        23,
        9,
        whole(bodies=lambda b: b[5]["detail"].pop("outcome") and None),
    )
    yield plain(
        "two accounts, one certificate", 21, 2, payload_rows(lambda p: withheld(p[1], "erased"))
    )


def seen() -> Iterator[Case]:
    """Outside times, keys and notes that could be taken for others."""
    policy = (("--policy", "@p"), {"p": POLICY})

    def plain(name: str, status: int, position: int | None, forger: Forger) -> Case:
        return Case(name, status, position, forger)

    ahead = Forger(cosigners=[(WITNESS, datetime.now(UTC) + timedelta(hours=2))])
    future = {"bodies": lambda b: b[35].update(time=now(3600))}
    yield Case("a witness in the future", 22, 35, replace(ahead, hands=future), *policy)
    order = Forger(cosigners=[(WITNESS, LATER), (WITNESS, START - timedelta(seconds=280))])
    yield Case("seen twice, the second too early", 0, None, order, *policy)
    early = Forger("range", 20, 30, earlier=[4, 34], cosigners=COSIGNED)
    yield Case("no cosignature that is too early", 0, None, early, *policy)
    before = jsonl(
        "checkpoints.jsonl", lambda c: c[0].update(note=c[0]["note"] + seen_at(c[0], 3600)), early
    )
    yield Case("older than a checkpoint without it", 22, 20, before, *policy)
    after = jsonl(
        "checkpoints.jsonl", lambda c: c[1].update(note=c[1]["note"] + seen_at(c[1], -3600)), early
    )
    yield Case("newer than a checkpoint with it", 22, 20, after, *policy)
    yield plain(
        "a signature line without signature",
        10,
        None,
        member("checkpoint", lambda d: d + "— a AAAA\n".encode()),
    )
    yield plain(
        "a signature line with more", 10, None, member("checkpoint", lambda d: d[:-1] + b" x\n")
    )
    other = forged.Signer("log.example/other", b"\x01" * 32)
    stranger = member("checkpoint", lambda d: d[: d.index(b"\n\n") + 2] + line(other, d))
    yield Case("another log's key, which is trusted too", 11, None, stranger, ("--key", other.key))
    yield Case("kept of another log", 16, None, Forger(), ("--seen", "@k"), {"k": strange_note()})
    yield plain("a related one of no account", 18, 30, related_to(30))
    yield plain("a related one of an account in a search", 14, ERASED, related_in_search())
    tsa = member("checkpoints.jsonl", lambda d: d, Forger("range", 5, 20, earlier=[7]))
    yield Case("a kept checkpoint is no note", 3, None, tsa, ("--seen", "@k"), {"k": "?"})
    yield Case("a policy that is none", 3, None, Forger(), ("--policy", "@p"), {"p": "quorum x\n"})
    yield Case("a key that is none", 3, None, Forger(), ("--key", "log.example+00000000+AA=="))


def seen_at(earlier: Body, seconds: int) -> str:
    text = text_of(earlier["note"].encode())
    return WITNESS.cosignature(text, START + timedelta(seconds=seconds))


def strange_note() -> str:
    return forged.note(forged.head(5, bytes(32), OTHER_LOG.name), OTHER_LOG)


def related_to(place: int) -> Forger:
    row = related_row(place)
    return member("related.jsonl", lambda d: d + row, Forger("range", 5, 20))


def related_in_search() -> Forger:
    shown = Forger("search", shows=lambda entry: entry["action"] == "subject.erased")
    return member("related.jsonl", lambda d: d + related_row(ERASED), shown)


TABLES: Sequence[Callable[[], Iterator[Case]]] = (
    genuine,
    container,
    outside,
    placed,
    included,
    form,
    chains,
    payloads,
    times,
    steps,
    calls,
    requests,
    digests,
    approvals,
    loose,
    seen,
)
CASES = [case for table in TABLES for case in table()]
