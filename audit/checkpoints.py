"""Signed tree heads: when one is due, and that none contradicts an earlier one.

Guarantees: the signer never signs two roots for one size nor a smaller tree after a
larger one, as far as its checkpoints, and the heads kept outside the database, can tell.

A checkpoint of a workspace leaves an entry in the platform's log; the platform's own
checkpoints leave none, or each would call for the next.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connections

from audit import heads, notes, services, signing
from audit.errors import HistoryConflict
from audit.merkle import frontier
from audit.models import Checkpoint
from audit.transactions import PLATFORM, in_workspace
from audit.tree import StoredTree

NEWS_INTERVAL = timedelta(seconds=5)
"""At most one checkpoint of a tree in this time while entries arrive."""
IDLE_INTERVAL = timedelta(hours=1)
"""At least one checkpoint of a tree in this time."""

SEQUENCER = services.Actor("system", "sequencer", "Sequencer")


@dataclass(frozen=True)
class TreeHead:
    """A tree as its last batch left it, and its last checkpoint."""

    workspace_id: UUID
    size: int
    root: bytes
    signed_size: int
    signed_at: datetime | None
    now: datetime

    @property
    def due(self) -> bool:
        if self.signed_at is None:
            return True
        age = self.now - self.signed_at
        return age >= (NEWS_INTERVAL if self.size > self.signed_size else IDLE_INTERVAL)


def tree_heads(using: str) -> list[TreeHead]:
    """Return the head of every tree; needs a role above row-level security."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE trees(id) AS (
                (SELECT workspace_id FROM audit_batch ORDER BY workspace_id LIMIT 1)
                UNION ALL
                SELECT (SELECT b.workspace_id FROM audit_batch b WHERE b.workspace_id > trees.id
                        ORDER BY b.workspace_id LIMIT 1)
                FROM trees WHERE trees.id IS NOT NULL
            )
            SELECT trees.id, batch.size, batch.root, coalesce(signed.size, 0), signed.signed_at,
                   clock_timestamp()
            FROM trees
            JOIN LATERAL (SELECT size, root FROM audit_batch WHERE workspace_id = trees.id
                          ORDER BY size DESC LIMIT 1) AS batch ON true
            LEFT JOIN LATERAL (SELECT size, signed_at FROM audit_checkpoint
                               WHERE workspace_id = trees.id
                               ORDER BY size DESC, signed_at DESC LIMIT 1) AS signed ON true
            WHERE trees.id IS NOT NULL
            """
        )
        return [TreeHead(row[0], row[1], bytes(row[2]), *row[3:]) for row in cursor.fetchall()]


def sign_due(using: str, *, everything: bool = False) -> list[Checkpoint]:
    """Sign the trees whose time has come (all that have news, with `everything`)."""
    made = []
    for head in tree_heads(using):
        if head.due or (everything and head.size > head.signed_size):
            made.append(sign(using, head))
    return made


def sign(using: str, head: TreeHead) -> Checkpoint:
    """Sign one tree head and store it, in one transaction with its entry.

    Raises:
        HistoryConflict: An earlier checkpoint or saved head says otherwise.
    """
    platform = head.workspace_id == PLATFORM
    with in_workspace(PLATFORM, using=using):
        _require_growth(using, head)
        origin = signing.origin(head.workspace_id)
        note = notes.sign(notes.Head(origin, head.size, head.root), origin, signing.signers())
        checkpoint = Checkpoint(
            id=uuid4(),
            workspace_id=head.workspace_id,
            size=head.size,
            root=head.root,
            note=str(note),
            signed_at=head.now,
        )
        checkpoint.save(using=using, force_insert=True)
        if not platform:
            services.record(PLATFORM, [_draft(checkpoint)])
    heads.append([heads.SavedHead(head.workspace_id, head.size, head.root, head.now)])
    return checkpoint


def require_history(using: str) -> None:
    """Refuse to go on from a database that is older than what was already shown.

    Raises:
        HistoryConflict: A saved head is larger than the tree, or has another root.
    """
    trees = {head.workspace_id: head for head in tree_heads(using)}
    for workspace_id, saved in heads.latest().items():
        tree = trees.get(workspace_id)
        if tree is None or tree.size < saved.size:
            size = tree.size if tree else 0
            raise HistoryConflict(
                f"{heads.path()} knows {saved.size} entries of {workspace_id},"
                f" the database only {size}: an older backup was restored, or entries were cut"
            )
        _require_root(using, workspace_id, saved.size, saved.root)


def _require_growth(using: str, head: TreeHead) -> None:
    last = (
        Checkpoint.objects.using(using)
        .filter(workspace_id=head.workspace_id)
        .order_by("-size", "-signed_at")
        .first()
    )
    if last is None:
        return
    if last.size > head.size:
        raise HistoryConflict(f"a checkpoint of {last.size} entries exists, not {head.size}")
    _require_root(using, head.workspace_id, last.size, bytes(last.root))


def _require_root(using: str, workspace_id: UUID, size: int, root: bytes) -> None:
    stored = StoredTree(connections[using], workspace_id)
    if frontier(size, stored.nodes).root() != root:
        raise HistoryConflict(f"the tree of {workspace_id} had another root at size {size}")


def _draft(checkpoint: Checkpoint) -> services.Draft:
    return services.Draft(
        action="checkpoint.signed",
        actor=SEQUENCER,
        subject=services.Subject("tree", str(checkpoint.workspace_id)),
        detail={"size": checkpoint.size, "root": bytes(checkpoint.root).hex()},
    )
