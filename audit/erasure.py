"""Erase a data subject's payloads, hold them, let them expire. Entries always stay.

Erasing destroys the subject's key and every payload sealed under it, in one transaction
with an entry that names the keys. Commitments in the log are salted, the salts go with the
payloads, so what is left says nothing of the content, and every proof still verifies.
A verifier accepts a missing payload only where an erasure or expiry entry covers it.

A legal hold comes first: while it stands, erasure and expiry of what it covers are refused.

Does not reach: backups. A backup restored with its wrapping key brings payloads back;
keep wrapping keys out of database backups, or erase again after a restore.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from audit import canonical, signing
from audit.canonical import JSON
from audit.errors import RetentionTooShort, UnderHold
from audit.models import Hold, Payload, Retention, SubjectKey
from audit.services import Actor, Draft, Recorded, Subject, record
from audit.transactions import alias, in_workspace

MIN_RETENTION_DAYS = 183
"""AI Act Art. 19 and 26(6): at least six months."""

EXPIRER = Actor("system", "retention", "Retention")


@dataclass(frozen=True)
class Certificate:
    """What an erasure destroyed, signed with the log's key."""

    body: Mapping[str, JSON]
    signature: bytes
    """Ed25519 over the canonical bytes of `body`, 64 raw bytes."""

    def to_json(self) -> dict[str, JSON]:
        return {**self.body, "signature": base64.b64encode(self.signature).decode()}


def erase_subject(
    workspace_id: UUID,
    data_subject: str,
    *,
    actor: Actor,
    basis: str,
    on_behalf_of: Actor | None = None,
) -> Certificate:
    """Destroy a data subject's key and payloads; return the certificate.

    Args:
        workspace_id: Where; a person known to several workspaces is erased in each.
        data_subject: As given to `record`, e.g. "user:<uuid>".
        actor: Who erases.
        basis: Why, e.g. "GDPR Art. 17(1)(a), request of 2026-11-02".
        on_behalf_of: Who asked for it.

    Raises:
        UnderHold: A legal hold covers the subject (nothing was changed).
    """
    using = alias("eraser")
    with in_workspace(workspace_id, using=using):
        require_no_hold(using, workspace_id, data_subject)
        destroyed = _destroy(using, workspace_id, data_subject)
        kind, _, identity = data_subject.partition(":")
        draft = Draft(
            "subject.erased",
            actor,
            Subject(kind, identity),
            on_behalf_of=on_behalf_of,
            detail={"basis": basis, **destroyed.summary()},
        )
        entry = record(workspace_id, [draft])[0]
    return _certificate(entry, data_subject, basis, destroyed)


@dataclass(frozen=True)
class _Destroyed:
    """What an erasure took away."""

    keys: list[str]
    payloads: list[JSON]
    """Entry and name of each, in order."""

    def summary(self) -> dict[str, JSON]:
        """Return what the log says of it: the list itself is in the certificate only."""
        listed = canonical.sha256_hex(canonical.encode(self.payloads))
        return {"keys": self.keys, "payloads": len(self.payloads), "list": listed}


def _destroy(using: str, workspace_id: UUID, data_subject: str) -> _Destroyed:
    keys = SubjectKey.objects.using(using).filter(
        workspace_id=workspace_id, data_subject=data_subject
    )
    key_ids = list(keys.values_list("id", flat=True))
    payloads = Payload.objects.using(using).filter(key_id__in=key_ids)
    listed = payloads.order_by("entry_id", "name").values_list("entry_id", "name")
    found = _Destroyed(
        [str(key_id) for key_id in key_ids],
        [{"entry": str(entry_id), "name": name} for entry_id, name in listed],
    )
    _delete(payloads)
    _delete(keys)
    return found


def _certificate(
    entry: Recorded, data_subject: str, basis: str, destroyed: _Destroyed
) -> Certificate:
    body = canonical.clean(
        {
            "certificate": "countersign-erasure/1",
            "workspace": str(entry.workspace_id),
            "subject": data_subject,
            "basis": basis,
            "entry": str(entry.id),
            "time": canonical.timestamp(entry.time),
            "keys": destroyed.keys,
            "payloads": destroyed.payloads,
        }
    )
    return Certificate(body, signing.current_signer().sign(canonical.encode(body)))


def set_hold(
    workspace_id: UUID,
    *,
    actor: Actor,
    reason: str,
    data_subject: str = "",
    on_behalf_of: Actor | None = None,
) -> Hold:
    """Forbid erasure and expiry of a subject's payloads, or of the whole workspace's."""
    with in_workspace(workspace_id):
        hold = Hold.objects.create(
            workspace_id=workspace_id,
            data_subject=data_subject,
            reason=reason,
            set_at=datetime.now(UTC),
        )
        record(workspace_id, [_hold_draft("hold.set", hold, actor, on_behalf_of)])
    return hold


def lift_hold(
    workspace_id: UUID, hold_id: UUID, *, actor: Actor, on_behalf_of: Actor | None = None
) -> bool:
    """End a hold; False where there is none standing under this id."""
    with in_workspace(workspace_id):
        standing = Hold.objects.filter(workspace_id=workspace_id, id=hold_id, lifted_at=None)
        hold = standing.first()
        if hold is None or not standing.update(lifted_at=datetime.now(UTC)):
            return False
        record(workspace_id, [_hold_draft("hold.lifted", hold, actor, on_behalf_of)])
    return True


def set_retention(
    workspace_id: UUID, days: int, *, actor: Actor, on_behalf_of: Actor | None = None
) -> None:
    """Let payloads expire after `days`; without this they stay for ever.

    Raises:
        RetentionTooShort: Fewer than 183 days.
    """
    if days < MIN_RETENTION_DAYS:
        raise RetentionTooShort(f"{days} days; the law asks for at least {MIN_RETENTION_DAYS}")
    with in_workspace(workspace_id):
        Retention.objects.update_or_create(
            workspace_id=workspace_id, defaults={"days": days, "changed_at": datetime.now(UTC)}
        )
        subject = Subject("workspace", str(workspace_id))
        draft = Draft(
            "retention.changed", actor, subject, on_behalf_of=on_behalf_of, detail={"days": days}
        )
        record(workspace_id, [draft])


def expire_payloads(workspace_id: UUID, *, now: datetime | None = None) -> int:
    """Destroy payloads older than the workspace's retention; return how many.

    What a hold covers stays, and so does everything where no retention is set.
    """
    using = alias("eraser")
    with in_workspace(workspace_id, using=using):
        retention = Retention.objects.using(using).filter(workspace_id=workspace_id).first()
        holds = Hold.objects.using(using).filter(workspace_id=workspace_id, lifted_at=None)
        held = set(holds.values_list("data_subject", flat=True))
        if retention is None or "" in held:
            return 0
        before = (now or datetime.now(UTC)) - timedelta(days=retention.days)
        old = (
            Payload.objects.using(using)
            .filter(workspace_id=workspace_id, created_at__lt=before)
            .exclude(key__data_subject__in=held)
        )
        count = old.count()
        if not count:
            return 0
        keys = (
            SubjectKey.objects.using(using)
            .filter(workspace_id=workspace_id, created_at__lt=before, payload=None)
            .exclude(data_subject__in=held)
        )
        _delete(old)
        _delete(keys)
        detail = {"before": canonical.timestamp(before), "payloads": count}
        subject = Subject("workspace", str(workspace_id))
        record(workspace_id, [Draft("payloads.expired", EXPIRER, subject, detail=detail)])
    return count


def require_no_hold(using: str, workspace_id: UUID, data_subject: str) -> None:
    """Refuse where a hold covers the subject or the workspace.

    Raises:
        UnderHold: It names the reason.
    """
    hold = (
        Hold.objects.using(using)
        .filter(Q(data_subject="") | Q(data_subject=data_subject))
        .filter(workspace_id=workspace_id, lifted_at=None)
        .first()
    )
    if hold is not None:
        raise UnderHold(f"a legal hold stands: {hold.reason}")


def _delete(rows: "QuerySet[Payload] | QuerySet[SubjectKey]") -> None:
    # Without Django's collector, which would first read every row into memory.
    rows._raw_delete(rows.db)


def _hold_draft(action: str, hold: Hold, actor: Actor, on_behalf_of: Actor | None) -> Draft:
    detail = {"reason": hold.reason}
    if hold.data_subject:
        detail["data_subject"] = hold.data_subject
    subject = Subject("hold", str(hold.id))
    return Draft(action, actor, subject, on_behalf_of=on_behalf_of, detail=detail)
