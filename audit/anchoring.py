"""Bring checkpoints to the anchors, and hear them out before going on.

Each anchor gets the newest checkpoint of each tree; failures are retried with growing
gaps, and stand in `AnchorState` for screens and alarms. A refusal is kept apart from a
failure: it means that somebody outside contradicts the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connections

from audit import canonical, checkpoints, notes
from audit.anchors.base import Anchor, Submission
from audit.canonical import JSON
from audit.errors import AnchorRefused, AnchorUnavailable, HistoryConflict
from audit.merkle import consistency_path
from audit.models import AnchorState, Checkpoint, Entry, Receipt
from audit.services import Draft, Subject, record
from audit.transactions import PLATFORM, in_workspace
from audit.tree import StoredTree

FIRST_RETRY = timedelta(seconds=5)
LAST_RETRY = timedelta(minutes=10)


@dataclass(frozen=True)
class Result:
    """What came of one submission; `error` is empty where it succeeded."""

    anchor: str
    workspace_id: UUID
    size: int
    error: str = ""
    refused: bool = False


def submit_due(using: str, anchors: Iterable[Anchor]) -> list[Result]:
    """Submit to every anchor whose time has come; needs the sequencer's role."""
    newest = list(_newest(using))
    return [
        _submit(using, anchor, checkpoint, state)
        for anchor in anchors
        for checkpoint in newest
        if _due(anchor, checkpoint, state := _state(using, anchor, checkpoint))
    ]


def ask_witnesses(using: str, anchors: Sequence[Anchor]) -> None:
    """Make sure that no witness has seen more than this database holds.

    A tree that was never signed is signed first, since a witness answers only to a
    signed checkpoint.

    Raises:
        HistoryConflict: A witness contradicts the database: an older backup was
            restored, or the history was rewritten.
        AnchorUnavailable: Witnesses are configured and none answered for some tree.
    """
    witnesses = [anchor for anchor in anchors if anchor.kind == "witness"]
    if not witnesses:
        return
    for head in checkpoints.tree_heads(using):
        if head.signed_at is None:
            checkpoints.sign(using, head)
    for checkpoint in _newest(using):
        results = [
            _submit(using, witness, checkpoint, _state(using, witness, checkpoint))
            for witness in witnesses
        ]
        for result in results:
            if result.refused:
                raise HistoryConflict(result.error)
        if all(result.error for result in results):
            raise AnchorUnavailable("; ".join(result.error for result in results))


def note_changes(using: str, anchors: Iterable[Anchor]) -> bool:
    """Leave `anchors.changed` in the installation's log where they are others than it says.

    Whoever takes a witness away does so in the settings, where no entry is made; the next start
    of the sequencer tells.
    """
    here: list[JSON] = [
        {"name": anchor.name, "kind": anchor.kind, "where": anchor.where} for anchor in anchors
    ]
    with in_workspace(PLATFORM, using=using):
        last = (
            Entry.objects.using(using)
            .filter(workspace_id=PLATFORM, action="anchors.changed")
            .order_by("-number")
            .first()
        )
        known = canonical.decode(bytes(last.leaf))["detail"]["anchors"] if last else []
        if here == known:
            return False
        subject = Subject("tree", str(PLATFORM))
        draft = Draft("anchors.changed", checkpoints.SEQUENCER, subject, detail={"anchors": here})
        record(PLATFORM, [draft])
        return True


def _newest(using: str) -> Iterator[Checkpoint]:
    for head in checkpoints.tree_heads(using):
        found = (
            Checkpoint.objects.using(using)
            .filter(workspace_id=head.workspace_id)
            .order_by("-size", "-signed_at")
            .first()
        )
        if found is not None:
            yield found


def _state(using: str, anchor: Anchor, checkpoint: Checkpoint) -> AnchorState:
    state = (
        AnchorState.objects.using(using)
        .filter(workspace_id=checkpoint.workspace_id, anchor=anchor.name)
        .first()
    )
    return state or AnchorState(
        workspace_id=checkpoint.workspace_id,
        anchor=anchor.name,
        kind=anchor.kind,
        attempted_at=datetime.fromtimestamp(0, UTC),
    )


def _due(anchor: Anchor, checkpoint: Checkpoint, state: AnchorState) -> bool:
    since = datetime.now(UTC) - state.attempted_at
    if state.failures:
        gap: timedelta = FIRST_RETRY * (1 << min(state.failures - 1, 10))
        return since >= min(gap, LAST_RETRY)
    if state.succeeded_at is not None and checkpoint.signed_at <= state.succeeded_at:
        return False
    return since >= timedelta(seconds=anchor.every_s)


def _submit(using: str, anchor: Anchor, checkpoint: Checkpoint, state: AnchorState) -> Result:
    """Submit outside any transaction: the network must not hold one open."""
    tree = StoredTree(connections[using], checkpoint.workspace_id)
    submission = Submission(
        note=notes.parse(checkpoint.note),
        seen=state.size,
        consistency=lambda old: consistency_path(old, checkpoint.size, tree.nodes),
    )
    error, refused, receipt = "", False, b""
    try:
        receipt = anchor.submit(submission)
    except AnchorUnavailable as failure:
        error = str(failure)
    except AnchorRefused as failure:
        error, refused = str(failure), True
    now = datetime.now(UTC)
    if not error:
        Receipt.objects.using(using).bulk_create(
            [
                Receipt(
                    workspace_id=checkpoint.workspace_id,
                    checkpoint=checkpoint,
                    anchor=anchor.name,
                    kind=anchor.kind,
                    body=receipt,
                    received_at=now,
                )
            ],
            ignore_conflicts=True,
        )
        state.size, state.succeeded_at = checkpoint.size, now
    state.attempted_at, state.error, state.refused = now, error, refused
    state.failures = state.failures + 1 if error else 0
    state.save(using=using)
    return Result(anchor.name, checkpoint.workspace_id, checkpoint.size, error, refused)
