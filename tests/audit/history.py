"""Histories to test with: runs as the platform writes them, placed, signed, exported."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from audit import checkpoints, exports, signing
from audit.canonical import JSON
from audit.errors import SequencerBusy
from audit.export.scope import Kind, Scope
from audit.models import Checkpoint, Export
from audit.sequencer import Sequencer
from audit.services import Actor, Draft, Recorded, Subject, record
from audit.transactions import in_workspace
from audit.verifier import countersign_verify
from tests.audit import second_verifier

ALICE = Actor("user", "alice", "Alice")
BOB = Actor("user", "bob", "Bob")
CAROL = Actor("user", "carol", "Carol")
AGENT = Actor("agent", "payables", "Accounts payable")
WORKER = Actor("system", "worker", "Worker")

TOO_LARGE = 2 << 20
"""Bytes beyond which the second verifier, which reads a bundle once for each check, is left out."""


@dataclass
class History:
    """One workspace's log."""

    workspace: UUID

    def record(self, *drafts: Draft) -> list[Recorded]:
        with in_workspace(self.workspace):
            return record(self.workspace, drafts)

    def run(self, *, review: bool = False, end: bool = True, payload: str = "pay 10") -> UUID:
        """Record a whole run of one step and one call, with approval where asked for."""
        run = uuid4()
        for draft in run_drafts(run, review=review, end=end, payload=payload):
            self.record(draft)
        return run

    def place(self) -> int:
        sequencer = Sequencer("sequencer")
        take_lock(sequencer)
        try:
            return sequencer.catch_up()
        finally:
            sequencer.unlock()

    def sign(self) -> Checkpoint:
        """Place everything and sign this workspace's tree; return the checkpoint."""
        self.place()
        for head in checkpoints.tree_heads("sequencer"):
            if head.workspace_id == self.workspace:
                return checkpoints.sign("sequencer", head)
        raise AssertionError("the workspace has no tree")

    def export(self, scope: Scope | None = None, *, payloads: bool = True) -> Path:
        job = exports.request_export(
            self.workspace, scope or Scope(Kind.WORKSPACE), payloads=payloads, actor=ALICE
        )
        assert exports.make_export(self.workspace, job.id)
        with in_workspace(self.workspace):
            job = Export.objects.get(id=job.id)
        assert job.state == Export.State.DONE, job.error
        return exports.file_of(job)

    def verify(self, bundle: Path, *arguments: str) -> int:
        """Run the stand-alone verifier in this process; return its exit status."""
        key = str(signing.verifier_keys(self.workspace)[0])
        return verify_twice(bundle, key, *arguments)


def take_lock(sequencer: Sequencer) -> None:
    """Wait until the server has noticed that the last holder is gone."""
    for _ in range(200):
        try:
            sequencer.lock()
        except SequencerBusy:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the sequencer's lock was never free")


def verify_twice(bundle: Path, key: str, *arguments: str) -> int:
    """Run both verifiers; return their exit status. Disagreement is a bug."""
    status = countersign_verify.main([str(bundle), "--key", key, *arguments])
    if bundle.stat().st_size > TOO_LARGE:
        return status
    assert second_verifier.main([str(bundle), "--key", key, *arguments]) == status
    return status


def run_drafts(run: UUID, *, review: bool, end: bool, payload: str) -> list[Draft]:
    """Return the entries of a run of one step and one write call, in order."""
    request = str(uuid4())
    call: dict[str, JSON] = {"step": 1, "seq": 0, "tool": "pay", "effect": "write"}
    outcome = "review" if review else "allow"
    decided = {"action": "call:pay", "step": 1, "call": 0, "outcome": outcome}
    drafts = [
        draft(run, "run.started", ALICE, payloads={"goal": payload}),
        draft(run, "step.proposed", AGENT, {"step": 1}, payloads={"code": f"pay({payload!r})"}),
        draft(run, "decision.made", AGENT, {"action": "execute", "step": 1, "outcome": "allow"}),
        draft(run, "decision.made", AGENT, decided),
    ]
    if review:
        drafts += approval_drafts(run, request)
        call["request"] = request
    drafts += [
        draft(run, "call.intended", AGENT, call),
        draft(run, "call.succeeded", AGENT, {"step": 1, "seq": 0, "effect": "write"}),
        draft(run, "step.executed", AGENT, {"step": 1}),
    ]
    if end:
        drafts.append(draft(run, "run.ended", AGENT, {"outcome": "succeeded"}))
    return drafts


def approval_drafts(run: UUID, request: str) -> list[Draft]:
    about = Subject("approval_request", request)
    seats = [{"role": "reviewer:finance", "count": 2}]
    asked: dict[str, JSON] = {"kind": "manifest", "requirement": seats, "barred": [], "step": 1}
    sign: dict[str, JSON] = {"answer": "sign", "meaning": "approved"}
    counted: dict[str, JSON] = {"voters": [{"id": BOB.id}, {"id": CAROL.id}]}
    return [
        draft(run, "approval.requested", ALICE, asked, subject=about),
        draft(run, "vote.cast", BOB, sign, subject=about),
        draft(run, "vote.cast", CAROL, sign, subject=about),
        draft(run, "approval.completed", WORKER, counted, subject=about),
        draft(run, "approval.consumed", WORKER, {"consumer": "worker"}, subject=about),
    ]


def draft(
    run: UUID,
    action: str,
    actor: Actor,
    detail: Mapping[str, JSON] | None = None,
    *,
    subject: Subject | None = None,
    payloads: Mapping[str, JSON] | None = None,
) -> Draft:
    return Draft(
        action,
        actor,
        subject or Subject("run", str(run)),
        run=run,
        detail=detail or {},
        payloads=payloads or {},
    )
