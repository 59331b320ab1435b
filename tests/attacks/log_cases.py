"""The attacks on the log: what each changes, and where it must be caught.

`LAYERS` are asked in this order; each stands for someone with more in his hand:
`database`: the operator's own `audit_verify`; `bundle`: an auditor with the log's key;
`kept`: he also kept two earlier checkpoints; `witness`: he also trusts a witness.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.canonical import JSON, encode, timestamp
from audit.drafts import new_id
from tests.attacks.log_forger import Edit, Forger, Placed

LAYERS = ("database", "bundle", "kept", "witness")


@dataclass(frozen=True)
class Case:
    """One attack on the database."""

    name: str
    act: Callable[[Forger, int], None]


def by_edit(name: str, edit: Edit) -> Case:
    return Case(name, lambda forger, strength: forger.forge(edit, strength))


def find(entries: list[Placed], action: str, nth: int = 0) -> int:
    return [i for i, placed in enumerate(entries) if placed.body["action"] == action][nth]


# --- edits of the log -----------------------------------------------------------------------


def edit_metadata(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "run.started")
    actor = {"type": "user", "id": "mallory", "name": "Mallory"}
    entries[at] = entries[at].edited(actor=actor)
    return entries


def change_time(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "vote.cast")
    time = datetime.fromisoformat(entries[at].body["time"]) - timedelta(seconds=100)
    entries[at] = entries[at].edited(time=timestamp(time), id=str(new_id(time)))
    return entries


def delete_one(entries: list[Placed]) -> list[Placed]:
    del entries[find(entries, "vote.cast", 1)]
    return entries


def delete_tail(entries: list[Placed]) -> list[Placed]:
    return entries[:-3]


def reorder_in_run(entries: list[Placed]) -> list[Placed]:
    a, b = find(entries, "approval.requested"), find(entries, "call.intended", 1)
    entries[a], entries[b] = entries[b], entries[a]
    return entries


def reorder_across_runs(entries: list[Placed]) -> list[Placed]:
    a, b = find(entries, "run.started"), find(entries, "run.started", 1)
    entries[a], entries[b] = entries[b], entries[a]
    return entries


def insert_vote(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "vote.cast")
    body = entries[at].body
    forged = {**body, "actor": {"type": "user", "id": "dave", "name": "Dave"}}
    time = datetime.fromisoformat(body["time"]) + timedelta(milliseconds=1)
    forged |= {"time": timestamp(time), "id": str(new_id(time))}
    entries.insert(at + 1, Placed(0, encode({**forged, "run_seq": body["run_seq"] + 1000})))
    return entries


def swap_between_runs(entries: list[Placed]) -> list[Placed]:
    a, b = find(entries, "step.proposed"), find(entries, "step.proposed", 1)
    first, second = entries[a].body, entries[b].body
    entries[a] = entries[a].edited(payloads=second["payloads"])
    entries[b] = entries[b].edited(payloads=first["payloads"])
    return entries


def replay(entries: list[Placed]) -> list[Placed]:
    copy = entries[find(entries, "note.taken")]
    return [*entries, Placed(0, copy.leaf)]


def forget_decision(entries: list[Placed]) -> list[Placed]:
    del entries[find(entries, "decision.made", 1)]
    return entries


def forget_completion(entries: list[Placed]) -> list[Placed]:
    del entries[find(entries, "approval.completed")]
    return entries


def duplicate_key(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "run.started")
    leaf = entries[at].leaf.replace(b'"v":1', b'"v":1,"v":1')
    entries[at] = Placed(entries[at].number, leaf)
    return entries


def smuggle_field(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "run.started")
    entries[at] = entries[at].edited(zz="smuggled")
    return entries


def edit_commitment(entries: list[Placed]) -> list[Placed]:
    at = find(entries, "step.proposed")
    payloads: dict[str, JSON] = entries[at].body["payloads"]
    changed = {**payloads["code"], "commitment": "0" * 64}
    entries[at] = entries[at].edited(payloads={"code": changed})
    return entries


# --- acts on other rows ---------------------------------------------------------------------


def edit_payload(forger: Forger, strength: int) -> None:
    """Put other content under a payload; the stronger forger seals it correctly."""
    if strength == 1:
        forger.admin.execute(
            "UPDATE audit_payload SET sealed = sealed || '\\x00' WHERE name='code'"
        )
        return
    forger.reseal("code", b"pay('mallory')")


def swap_payloads(forger: Forger, strength: int) -> None:
    rows = forger.admin.execute(
        "SELECT id, sealed, key_id FROM audit_payload WHERE name = 'code'"
        " ORDER BY created_at LIMIT 2"
    ).fetchall()
    (a, a_sealed, a_key), (b, b_sealed, b_key) = rows
    sql = "UPDATE audit_payload SET sealed = %s, key_id = %s WHERE id = %s"
    forger.admin.execute(sql, [b_sealed, b_key, a])
    forger.admin.execute(sql, [a_sealed, a_key, b])


def destroy_payload(forger: Forger, strength: int) -> None:
    forger.admin.execute(
        "DELETE FROM audit_payload WHERE id ="
        " (SELECT id FROM audit_payload WHERE name = 'code' ORDER BY created_at LIMIT 1)"
    )


def replay_entry(forger: Forger, strength: int) -> None:
    # The primary key forbids it; this forger takes the key away first.
    forger.admin.execute("ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_pkey")
    forger.forge(replay, strength)


def edit_columns(forger: Forger, strength: int) -> None:
    forger.admin.execute("UPDATE audit_entry SET actor_name = 'Nobody' WHERE actor_id = 'bob'")


def move_to_another_workspace(forger: Forger, strength: int) -> None:
    forger.admin.execute(
        "UPDATE audit_entry SET workspace_id = gen_random_uuid()"
        " WHERE number = (SELECT min(number) FROM audit_entry WHERE actor_id = 'bob')"
    )


CASES: tuple[Case, ...] = (
    Case("edit a payload", edit_payload),
    by_edit("edit a commitment", edit_commitment),
    Case("swap two payloads", swap_payloads),
    Case("destroy a payload without an erasure entry", destroy_payload),
    by_edit("edit an actor", edit_metadata),
    Case("edit search columns", edit_columns),
    Case("move an entry to another workspace", move_to_another_workspace),
    by_edit("delete one entry", delete_one),
    by_edit("delete the last entries", delete_tail),
    by_edit("reorder within a run", reorder_in_run),
    by_edit("reorder across runs", reorder_across_runs),
    by_edit("insert a forged vote", insert_vote),
    by_edit("swap content between runs", swap_between_runs),
    by_edit("change a time", change_time),
    Case("replay an entry", replay_entry),
    by_edit("remove a decision", forget_decision),
    by_edit("remove an approval's completion", forget_completion),
    by_edit("put a key twice into an entry", duplicate_key),
    by_edit("smuggle a field into an entry", smuggle_field),
)


# --- bundles --------------------------------------------------------------------------------

Files = dict[str, bytes]


def _lines(files: Files, name: str) -> list[bytes]:
    return files[name].splitlines(keepends=True)


def leave_out_entry(files: Files) -> None:
    lines = _lines(files, "entries.jsonl")
    files["entries.jsonl"] = b"".join(lines[:5] + lines[6:])


def leave_out_run(files: Files) -> None:
    lines = _lines(files, "entries.jsonl")
    run = json.loads(lines[0])["run"]
    files["entries.jsonl"] = b"".join(x for x in lines if json.loads(x).get("run") != run)


def leave_out_tail(files: Files) -> None:
    files["entries.jsonl"] = b"".join(_lines(files, "entries.jsonl")[:-2])


def leave_everything_out(files: Files) -> None:
    files["entries.jsonl"] = files["payloads.jsonl"] = b""


def hide_as_hash(files: Files) -> None:
    from audit.merkle import leaf_hash

    lines = _lines(files, "entries.jsonl")
    lines[3] = f'"{leaf_hash(lines[3][:-1]).hex()}"\n'.encode()
    files["entries.jsonl"] = b"".join(lines)


def repeat_entry(files: Files) -> None:
    lines = _lines(files, "entries.jsonl")
    files["entries.jsonl"] = b"".join([*lines[:4], lines[3], *lines[4:]])


def change_proof(files: Files) -> None:
    proofs = json.loads(files["proofs.json"])
    proofs["right"] = ["00" * 32]
    files["proofs.json"] = encode(proofs)


def replace_payload(files: Files) -> None:
    lines = [json.loads(line) for line in _lines(files, "payloads.jsonl")]
    lines[0]["data"] = base64.b64encode(b"something else").decode()
    files["payloads.jsonl"] = b"".join(encode(line) + b"\n" for line in lines)


def claim_erasure(files: Files) -> None:
    lines = [json.loads(line) for line in _lines(files, "payloads.jsonl")]
    lines[0] = {"i": lines[0]["i"], "name": lines[0]["name"], "state": "erased"}
    files["payloads.jsonl"] = b"".join(encode(line) + b"\n" for line in lines)


def add_file(files: Files) -> None:
    files["../../etc/passwd"] = b"root::0:0"


BUNDLE_CASES: Mapping[str, Callable[[Files], None]] = {
    "leave an entry out of an export": leave_out_entry,
    "leave a run out of an export": leave_out_run,
    "leave the last entries out of an export": leave_out_tail,
    "export nothing": leave_everything_out,
    "show an entry as a hash only": hide_as_hash,
    "show an entry twice": repeat_entry,
    "change a proof": change_proof,
    "replace a payload in the bundle": replace_payload,
    "claim an erasure that was none": claim_erasure,
    "smuggle a file into the bundle": add_file,
}
