"""What an entry of the log holds beside who, when and what: each thing as people read it.

Hashes stand shortened, with what they are the hash of in words and the whole of them one gesture
away; those of registered versions and of policies stand by name, with a way there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import reverse

from agents import selectors as agents
from countersign.console import words
from countersign.console.templatetags.audit import is_id
from policies import selectors as policies

HASH = re.compile(r"[0-9a-f]{64}")
OF = {
    "answer": "the answer",
    "arguments": "the call's arguments",
    "binding": "all that a signature binds",
    "code": "the program",
    "digest": "the version's content",
    "displayed": "what the signers are shown",
    "facts": "what analysis found in the program",
    "manifest": "the effects, in their order",
    "policy": "the policy",
    "request": "what the policy was asked",
    "root": "the root of the tree",
    "runtime": "the sandbox's runtime",
    "sha256": "the file",
    "stdout": "what the program printed",
}
"""What a hash under this name is the hash of."""


@dataclass(frozen=True)
class Detail:
    """One thing that an entry holds.

    Attributes:
        said: as the entry has it.
        text: in words; "" where `said` is shown as it is.
        href: where what it names is to be seen; "" if nowhere.
        hash: the whole of a hash, which the page shortens; "" if it is none.
    """

    name: str
    said: Any
    text: str = ""
    href: str = ""
    hash: str = ""


def details(workspace_id: UUID, slug: str, held: Mapping[str, Any]) -> list[Detail]:
    """What an entry of this workspace holds, in its order."""
    marks = {said for said in held.values() if isinstance(said, str) and _is_mark(said)}
    versions = agents.versions_named(workspace_id, marks) if marks else {}
    numbers = policies.versions_numbered(workspace_id, marks) if marks else {}
    found = []
    for name, said in held.items():
        whole = said if isinstance(said, str) and HASH.fullmatch(said) else ""
        if name.endswith("_version") and said in versions:
            version = versions[said]
            page, place = f"{version.kind}_version", [slug, version.name, version.number]
            text = f"{version.name} v{version.number}"
            href = reverse(f"console:{page}", args=place)
        elif name in ("policy", "policy_version") and said in numbers:
            text = f"version {numbers[said]}"
            href = reverse("console:policy_version", args=[slug, numbers[said]])
        else:
            text, href = OF.get(name, "") if whole else _in_words(said), ""
        found.append(Detail(name, said, text, href, whole))
    return found


def _is_mark(said: str) -> bool:
    """Whether this may be the hash or the id of something."""
    return bool(HASH.fullmatch(said)) or is_id(said)


def _in_words(said: object) -> str:
    """A list of names, or of seats to sign on, as text; "" for anything else."""
    if said in ([], {}):
        return "none"
    if not isinstance(said, list):
        return ""
    if all(isinstance(item, str) for item in said):
        return ", ".join(said)
    return ", ".join(_seat(item) for item in said) if _are_seats(said) else ""


def _are_seats(said: Sequence[Any]) -> bool:
    return all(isinstance(item, dict) and set(item) == {"count", "role"} for item in said)


def _seat(item: Mapping[str, Any]) -> str:
    signatures = words.count(int(item["count"]), "signature")
    return f"{signatures} of {words.role(str(item['role']))}"
