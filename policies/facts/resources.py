"""What the literals of a program name: hosts, paths, addresses, SQL, secrets, blobs."""

import ast
import re
from collections.abc import Sequence

from policies.facts.record import Finding
from policies.facts.sensitive import emails_in, personal_in, secrets_in

BLOB_LENGTH = 200
_SHOWN = 100
_SHORT = 16
"""Letters alone, and fewer of them, are a word."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,10}://(?:[^\s/@]*@)?([^\s/:?#'\"<>]+)", re.IGNORECASE)
_PATH = re.compile(
    r"(?:^|[\s'\"=(])((?:/(?:etc|proc|sys|dev|root|home|var|usr|tmp|opt|run|mnt|boot)(?:/[^\s'\"]*)?)"
    r"|(?:~/[^\s'\"]*)|(?:\.\./[^\s'\"]*)|(?:[A-Za-z]:\\[^\s'\"]*))"
)
_SQL = re.compile(
    r"^\s*(select|insert\s+into|update|delete\s+from|drop\s+table|alter\s+table|create\s+table|"
    r"truncate|grant|revoke|merge\s+into|with)\b",
    re.IGNORECASE,
)
_TABLE = re.compile(
    r"\b(?:from|join|into|update|table)\s+([A-Za-z_][\w.]*)", re.IGNORECASE | re.ASCII
)
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{BLOB_LENGTH},}}")
_INTERESTING = re.compile(r"[/@:\\~]|\d{4}|[A-Za-z0-9+/=_-]{16}")


def hosts_in(text: str) -> list[str]:
    """Host names of the URLs in `text`, in lower case."""
    return [host.lower() for host in _URL.findall(text)] if "://" in text else []


def resources_in(strings: Sequence[ast.Constant]) -> tuple[Finding, ...]:
    """Findings of kinds host, path, email, sql, table, secret, personal, blob."""
    found: set[tuple[int, int, str, str]] = set()
    seen: dict[str, list[tuple[str, str]]] = {}
    for node in strings:
        value = node.value
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if len(text) < _SHORT and (len(text) < 4 or text.isalpha()):
            continue
        named = seen.get(text)
        if named is None:
            named = seen[text] = _look_at(text)
        for kind, name in named:
            found.add((node.lineno, node.col_offset, kind, name[:_SHOWN]))
    return tuple(Finding(kind, name, line, column) for line, column, kind, name in sorted(found))


def _look_at(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    verb = _SQL.match(text) if " " in text or "\n" in text else None
    if verb and (tables := _TABLE.findall(text)):
        found.append(("sql", verb.group(1).split()[0].upper()))
        found.extend(("table", table.lower()) for table in tables)
    if not _INTERESTING.search(text):
        return found
    found.extend(("host", host) for host in hosts_in(text))
    if "/" in text or "\\" in text:
        found.extend(("path", path) for path in _PATH.findall(text))
    found.extend(("email", address.lower()) for address in emails_in(text))
    found.extend(("secret", kind) for kind in secrets_in(text))
    found.extend(("personal", kind) for kind in personal_in(text))
    if len(text) >= BLOB_LENGTH and _BLOB.search(text):
        found.append(("blob", f"{len(text)} characters"))
    return found
