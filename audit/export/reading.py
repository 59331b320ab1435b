"""Read a bundle back: the entries it shows, with the payloads it holds in the clear.

Guarantees: a payload that is given is what its entry commits to. Whether the entries are those of
the log, whole and in order, is for `countersign_verify`, with a key that did not come along.
"""

import base64
import binascii
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import payloads
from audit.canonical import JSON
from audit.errors import AuditError
from audit.verifier.countersign_verify import Bundle, Malformed

MAX_LINE = 64 << 20


class BundleUnreadable(AuditError):
    """The file is no bundle, or not as it was made."""


@dataclass(frozen=True)
class Shown:
    """One entry of a bundle.

    Attributes:
        payloads: name → value, of those that are in the bundle in the clear.
        withheld: name → why it is not: `withheld`, `erased` or `expired`.
    """

    position: int
    leaf: Mapping[str, Any]
    payloads: Mapping[str, JSON] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> Iterator[Shown]:
    """Yield the entries that a bundle shows, in the log's order.

    Raises:
        BundleUnreadable: says what is wrong with the file.
    """
    try:
        yield from _entries(Bundle(path))
    except (Malformed, OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BundleUnreadable(f"{path} cannot be read as a bundle: {error}") from error


def _entries(bundle: Bundle) -> Iterator[Shown]:
    statement = json.loads(base64.b64decode(json.loads(bundle.read("manifest.json"))["payload"]))
    first = int(statement["predicate"]["first"])
    given = _payloads(bundle)
    for position, line in enumerate(bundle.lines("entries.jsonl", MAX_LINE), first):
        leaf = json.loads(line)
        if isinstance(leaf, dict):
            yield _shown(position, leaf, given.get(position, {}))


def _payloads(bundle: Bundle) -> dict[int, dict[str, dict[str, str]]]:
    found: dict[int, dict[str, dict[str, str]]] = {}
    for line in bundle.lines("payloads.jsonl", MAX_LINE):
        item = json.loads(line)
        found.setdefault(item["i"], {})[item["name"]] = item
    return found


def _shown(position: int, leaf: dict[str, Any], given: Mapping[str, dict[str, str]]) -> Shown:
    opened: dict[str, JSON] = {}
    withheld: dict[str, str] = {}
    for name, commitment in leaf.get("payloads", {}).items():
        item = given.get(name, {"state": "withheld"})
        if "state" in item:
            withheld[name] = item["state"]
        else:
            opened[name] = _value(position, name, item, commitment)
    return Shown(position, leaf, opened, withheld)


def _value(
    position: int, name: str, item: Mapping[str, str], commitment: Mapping[str, str]
) -> JSON:
    try:
        salt, data = (base64.b64decode(item[part], validate=True) for part in ("salt", "data"))
    except binascii.Error as error:
        raise ValueError(f"payload {name} of entry {position} is damaged") from error
    if payloads.commit(salt, data) != commitment["commitment"]:
        raise ValueError(f"payload {name} of entry {position} is not what the entry commits to")
    media = commitment["media"]
    value = payloads.Opened(name, media, salt, data).value
    return value.decode("latin-1") if isinstance(value, bytes) else value
