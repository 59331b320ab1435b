"""Says what a file is by looking at it. Pure.

A name or a declared type decides nothing: what is shown as a picture is one by its first bytes, and
whatever reads as text is text, also where it would be a page or a program elsewhere.
"""

OCTETS = "application/octet-stream"
TEXT = "text/plain"
TABLE = "text/csv"
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Raster pictures, which hold no program; SVG does and is text here."""

_LOOKED_AT = 65_536
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"PAR1", "application/vnd.apache.parquet"),
)
_TABLES = (".csv", ".tsv")
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f")


def sniff(name: str, content: bytes) -> str:
    """The media type of a file; the name only tells tables from other text."""
    for magic, media in _MAGIC:
        if content.startswith(magic):
            return media
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if not _is_text(content):
        return OCTETS
    return TABLE if name.lower().endswith(_TABLES) else TEXT


def _is_text(content: bytes) -> bool:
    head = content[:_LOOKED_AT]
    if not _CONTROL.isdisjoint(head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as fault:
        # A character cut in two at the end of what was looked at is no fault of the file.
        return len(content) > _LOOKED_AT and fault.start >= len(head) - 3
    return True
