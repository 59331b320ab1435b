"""The anchors of this installation, from `COUNTERSIGN_AUDIT_ANCHORS`.

Each is a mapping with `kind`, `name` and what its kind needs:
`{"kind": "file", "name": …, "path": …}`,
`{"kind": "witness", "name": …, "url": …, "vkey": …}`,
`{"kind": "rfc3161", "name": …, "url": …}`; all take `every_s`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from audit.anchors.base import Anchor
from audit.anchors.file import FileAnchor
from audit.anchors.timestamp import TimestampAnchor
from audit.anchors.witness import WitnessAnchor
from audit.errors import AuditError

KINDS: Mapping[str, Callable[..., Anchor]] = {
    FileAnchor.kind: FileAnchor,
    WitnessAnchor.kind: WitnessAnchor,
    TimestampAnchor.kind: TimestampAnchor,
}


def configured() -> list[Anchor]:
    """Return the configured anchors.

    Raises:
        AuditError: A kind, field or key that does not exist (the operator's fault).
    """
    anchors = [_anchor(entry) for entry in getattr(settings, "COUNTERSIGN_AUDIT_ANCHORS", [])]
    names = [anchor.name for anchor in anchors]
    if len(set(names)) != len(names):
        raise AuditError("two anchors have one name")
    return anchors


def _anchor(entry: Mapping[str, Any]) -> Anchor:
    fields = dict(entry)
    kind = fields.pop("kind", "")
    if kind not in KINDS:
        raise AuditError(f"anchor kind {kind!r}: one of {', '.join(KINDS)}")
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise AuditError(f"anchor {entry.get('name', '?')}: {error}") from error
