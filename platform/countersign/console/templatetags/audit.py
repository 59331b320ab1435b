"""Words of the log for templates; nothing here asks the database."""

from uuid import UUID

from django import template

from countersign.console import words

register = template.Library()

_ANCHORS = {
    "witness": "witness",
    "rfc3161": "time-stamping authority",
    "file": "write-once folder",
}


@register.simple_tag
def hexadecimal(digest: bytes) -> str:
    """A hash as people compare it."""
    return bytes(digest).hex()


@register.simple_tag
def anchor_kind(kind: str) -> str:
    return _ANCHORS.get(kind, kind)


@register.filter
def bytesize(number: int) -> str:
    """A number of bytes: `812 bytes`, `1.4 MB`."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return words.count(number, "byte")


@register.filter
def is_id(value: object) -> bool:
    """Whether a value is an id, which the log can be searched for."""
    try:
        return isinstance(value, str) and len(value) == 36 and bool(UUID(value))
    except ValueError:
        return False
