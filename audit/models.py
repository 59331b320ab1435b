"""Tables of the log. What is evidence, and what only helps to find it.

Evidence is `Entry.leaf` (exact canonical bytes), its place in `Position`, and what is
derived from the two: `Tile`, `Batch`, `Checkpoint`, `Receipt`. These tables are insert
only: roles lack the privilege, and triggers that also fire for replication refuse UPDATE,
DELETE and TRUNCATE for everybody. Every other column of `Entry` is filled from the leaf by
a trigger, whatever the client sends, and is never evidence.

`Payload` and `SubjectKey` may be deleted, by the eraser role only. The workspace is a
plain UUID: the log outlives the workspace.
"""

import uuid

from django.db import models


class Entry(models.Model):
    """One thing that happened. Written by `services.record` only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.BigIntegerField(unique=True)
    """Order of arrival over all workspaces; has holes where transactions rolled back."""
    workspace_id = models.UUIDField()
    leaf = models.BinaryField()
    leaf_hash = models.BinaryField()
    """SHA-256(0x00 ‖ leaf), 32 raw bytes (RFC 9162 §2.1.1)."""
    time = models.DateTimeField()
    action = models.TextField()
    actor_type = models.TextField()
    actor_id = models.TextField()
    actor_name = models.TextField()
    subject_type = models.TextField()
    subject_id = models.TextField()
    subject_version = models.TextField(blank=True)
    run_id = models.UUIDField(null=True)
    run_seq = models.IntegerField(null=True)
    """Both or neither, from 1 without gaps."""

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["run_id", "run_seq"], name="audit_entry_run_seq")
        ]
        indexes = [
            models.Index(fields=["workspace_id", "time", "number"], name="audit_entry_time"),
            models.Index(
                fields=["workspace_id", "action", "time", "number"], name="audit_entry_action"
            ),
            models.Index(
                fields=["workspace_id", "actor_id", "time", "number"], name="audit_entry_actor"
            ),
            models.Index(
                fields=["workspace_id", "subject_id", "time", "number"],
                name="audit_entry_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type}:{self.subject_id}"


class SubjectKey(models.Model):
    """The wrapped key of one data subject's payloads; deleting it is the erasure."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    data_subject = models.TextField()
    """Whose data: "user:<uuid>", "run:<uuid>" or "workspace:<uuid>"."""
    wrapping_key = models.TextField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace_id", "data_subject"], name="audit_subjectkey_subject"
            )
        ]

    def __str__(self) -> str:
        return self.data_subject


class Payload(models.Model):
    """What an entry only commits to, encrypted: AES-256-GCM(key, salt ‖ plaintext)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    entry_id = models.UUIDField()
    name = models.TextField()
    key = models.ForeignKey(SubjectKey, on_delete=models.PROTECT)
    sealed = models.BinaryField()
    """nonce (12 bytes) ‖ ciphertext of salt (32 bytes) ‖ plaintext ‖ tag (16 bytes)."""
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry_id", "name"], name="audit_payload_name")
        ]
        indexes = [models.Index(fields=["workspace_id", "created_at"], name="audit_payload_age")]

    def __str__(self) -> str:
        return f"{self.entry_id} {self.name}"


class Position(models.Model):
    """An entry's place in its workspace's tree; dense from 0."""

    pk = models.CompositePrimaryKey("workspace_id", "position")
    workspace_id = models.UUIDField()
    position = models.BigIntegerField()
    entry_number = models.BigIntegerField(unique=True)
    leaf_hash = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.position}"


class Tile(models.Model):
    """256 node hashes of one level, as in C2SP tlog-tiles; written once, when full.

    `level` counts tiles: level 0 holds leaf hashes, level 1 the roots of level 0 tiles.
    """

    pk = models.CompositePrimaryKey("workspace_id", "level", "index")
    workspace_id = models.UUIDField()
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.level}/{self.index}"


class Batch(models.Model):
    """What one commit of the sequencer made of a tree: its size and root afterwards."""

    pk = models.CompositePrimaryKey("workspace_id", "size")
    workspace_id = models.UUIDField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    sequenced_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.size}"


class Checkpoint(models.Model):
    """A signed tree head: a C2SP tlog-checkpoint note with the log's own signatures."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["workspace_id", "size", "signed_at"], name="audit_checkpoint_size")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.size}"


class Receipt(models.Model):
    """What an anchor gave for a checkpoint: cosignature lines, a time stamp, a file's name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT)
    anchor = models.TextField()
    kind = models.TextField()
    """"file", "witness" or "rfc3161"."""
    body = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "anchor"], name="audit_receipt_anchor")
        ]

    def __str__(self) -> str:
        return f"{self.anchor} {self.checkpoint_id}"


class AnchorState(models.Model):
    """How an anchor is doing for one tree; for screens and alarms, never evidence."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    anchor = models.TextField()
    kind = models.TextField()
    size = models.BigIntegerField(default=0)
    """Size of the newest checkpoint the anchor has."""
    attempted_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    """Attempts in a row that failed; 0 means it is well."""
    error = models.TextField(blank=True)
    refused = models.BooleanField(default=False)
    """The anchor contradicts the log: no retry helps, somebody must look."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "anchor"], name="audit_anchorstate_one")
        ]

    def __str__(self) -> str:
        return f"{self.anchor} {self.workspace_id}"


class Hold(models.Model):
    """A legal hold: while it stands, nothing it covers may be erased or expire."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    data_subject = models.TextField(blank=True)
    """Empty: the whole workspace."""
    reason = models.TextField()
    set_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["workspace_id", "lifted_at"], name="audit_hold_standing")]

    def __str__(self) -> str:
        return f"{self.data_subject or 'workspace'}: {self.reason}"


class Retention(models.Model):
    """How long a workspace keeps payloads; entries stay for ever."""

    workspace_id = models.UUIDField(primary_key=True)
    days = models.IntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            # AI Act Art. 19 and 26(6): at least six months.
            models.CheckConstraint(name="audit_retention_floor", condition=models.Q(days__gte=183))
        ]

    def __str__(self) -> str:
        return f"{self.days} days"


class Export(models.Model):
    """A bundle that was asked for: what it covers, how far it is, where it lies."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        REMOVED = "removed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    scope = models.JSONField()
    """kind ("workspace", "range", "run", "search") and its limits; see `audit.export`."""
    payloads = models.BooleanField()
    requested_by = models.TextField()
    requester_name = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    file = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    touched_at = models.DateTimeField(null=True)
    """Last sign of life of whoever makes it; a stale one is taken over. Or when it was removed."""
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["workspace_id", "requested_at"], name="audit_export_list")]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"


class Verification(models.Model):
    """A verification run: who asked, how far it is, what it found."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    requested_by = models.TextField()
    requester_name = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    found = models.IntegerField(default=0)
    findings = models.JSONField(default=list)
    root = models.CharField(max_length=64, blank=True)
    requested_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["workspace_id", "requested_at"], name="audit_verif_list")]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"
