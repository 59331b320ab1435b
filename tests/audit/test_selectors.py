"""What screens and the API read: proofs that verify, states, lists, disclosure."""

import json
from uuid import uuid4

import pytest

from audit import disclosure, merkle, selectors
from audit.errors import PayloadGone, ProofUnavailable
from audit.merkle import verify_consistency, verify_inclusion
from audit.models import Entry
from audit.transactions import in_workspace
from audit.verification import request_verification, run_verification
from tests.audit.history import ALICE, BOB, History


def test_every_entry_has_a_proof_that_can_be_drawn(history: History) -> None:
    history.run(review=True)
    history.run()
    history.sign()
    for entry in selectors.entries(history.workspace, limit=100).entries:
        found = selectors.inclusion(history.workspace, entry.id)
        assert found is not None
        root, size = bytes(found.checkpoint.root), found.checkpoint.size
        assert verify_inclusion(found.leaf_hash, found.position, size, found.path, root)
        steps = found.steps()
        assert steps[-1].result == root
        assert [step.sibling for step in steps] == found.path


def test_an_entry_waits_for_its_checkpoint(history: History) -> None:
    history.run()
    entry = selectors.entries(history.workspace).entries[0]
    assert selectors.inclusion(history.workspace, entry.id) is None
    assert selectors.inclusion(history.workspace, uuid4()) is None
    status = selectors.tree_status(history.workspace)
    assert (status.size, status.checkpoint, status.root) == (0, None, merkle.EMPTY_ROOT)
    assert status.waiting == 8
    assert status.oldest_s > 0
    history.place()
    status = selectors.tree_status(history.workspace)
    assert (status.size, status.waiting, status.unsigned) == (8, 0, 8)
    history.sign()
    assert selectors.tree_status(history.workspace).unsigned == 0
    assert selectors.inclusion(uuid4(), entry.id) is None


def test_consistency_between_checkpoints(history: History) -> None:
    history.run()
    first = history.sign()
    history.run()
    second = history.sign()
    path = selectors.consistency(history.workspace, first.size, second.size)
    roots = bytes(first.root), bytes(second.root)
    assert verify_consistency(first.size, second.size, *roots, path)
    for old, new in [(0, 5), (5, 4), (1, 1000)]:
        with pytest.raises(ProofUnavailable):
            selectors.consistency(history.workspace, old, new)
    found = selectors.checkpoints(history.workspace)
    assert [checkpoint.size for checkpoint in found] == [second.size, first.size]
    assert len(selectors.checkpoints(history.workspace, before=second.size)) == 1
    assert selectors.checkpoints(uuid4()) == []


def test_the_actions_that_occur(history: History) -> None:
    assert selectors.actions(history.workspace) == []
    history.run()
    found = selectors.actions(history.workspace)
    assert found == sorted(set(found))
    assert {"run.started", "run.ended", "call.intended"} <= set(found)


def test_a_payload_is_shown_only_with_an_entry(history: History) -> None:
    run = history.run(payload="secret")
    entry = selectors.run_entries(history.workspace, run)[0]
    assert selectors.stored_payloads(history.workspace, entry.id) == ["goal"]
    opened = disclosure.disclose(history.workspace, entry.id, "goal", actor=BOB)
    assert opened.value == "secret"
    with in_workspace(history.workspace):
        viewed = Entry.objects.get(action="payload.viewed")
    assert (viewed.actor_id, viewed.subject_id) == ("bob", str(entry.id))
    for workspace, name in [(history.workspace, "other"), (uuid4(), "goal")]:
        with pytest.raises(PayloadGone):
            disclosure.disclose(workspace, entry.id, name, actor=BOB)


def test_verification_as_a_job(history: History) -> None:
    history.run()
    history.sign()
    wanted = request_verification(history.workspace, ALICE)
    report = run_verification(history.workspace, wanted.id)
    assert report is not None
    assert report.clean
    assert run_verification(history.workspace, wanted.id) is None
    found = selectors.verification(history.workspace, wanted.id)
    assert found is not None
    assert (found.state, found.done, found.found, found.root) == ("done", 8, 0, report.root.hex())
    assert [v.id for v in selectors.verifications(history.workspace)] == [wanted.id]
    assert selectors.verification(uuid4(), wanted.id) is None
    with in_workspace(history.workspace):
        entry = Entry.objects.get(action="log.verified")
    assert entry.actor_name == "Alice"
    assert json.loads(bytes(entry.leaf))["detail"]["result"] == "clean"
