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

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["run_id", "run_seq"], name="audit_entry_run_seq"),
            models.CheckConstraint(
                name="audit_entry_run_complete",
                condition=models.Q(run_id=None, run_seq=None)
                | models.Q(run_id__isnull=False, run_seq__gte=1),
            ),
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
