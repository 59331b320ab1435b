"""The demo's cast and their two workspaces."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from countersign.accounts.models import User, Workspace
from countersign.accounts.services import PersonDraft, Prepared, workspace_prepare
from countersign.demo import setting

NAME, SLUG = "Accounts payable", "accounts-payable"
OTHER_NAME, OTHER_SLUG = "Facility management", "facility-management"
DOMAIN = "accounts-payable.example"


@dataclass(frozen=True)
class Part:
    """One person of the demo and what they do in it, in words."""

    username: str
    name: str
    roles: tuple[str, ...]
    does: str

    @property
    def draft(self) -> PersonDraft:
        return PersonDraft(self.username, self.name, f"{self.username}@{DOMAIN}", self.roles)


CAST = (
    Part("alice", "Alice Meyer", ("operator", "admin"), "started the run and cannot sign it"),
    Part("bob", "Bob Okafor", ("reviewer:finance",), "signs"),
    Part("erin", "Erin Sandberg", ("reviewer:finance",), "signs as the second"),
    Part("carol", "Carol Dupont", ("policy_officer",), "sets the policy"),
    Part("frank", "Frank Novak", ("policy_officer",), "approves what Carol changes"),
    Part("dan", "Dan Rossi", ("auditor",), "reads and verifies the log"),
)
MALLORY = Part(
    "mallory",
    "Mallory Quint",
    ("operator", "reviewer:finance"),
    "belongs to another workspace and sees nothing of this one",
)


def prepare() -> Workspace:
    """Make both workspaces and all people; keeps their passwords for the next start.

    Unlike anyone else's, the passwords of this cast stay as they were given, so that a demo can
    be shown twice; they are random and in a file that only its owner may read.
    """
    prepared = _workspace(NAME, SLUG, CAST)
    other = _workspace(OTHER_NAME, OTHER_SLUG, (MALLORY,))
    remember({**prepared.passwords, **other.passwords})
    return prepared.workspace


def person(username: str) -> User:
    """The account of one of the cast."""
    return User.objects.get(username=username)


def passwords() -> dict[str, str]:
    """User name → password, of everyone whose password was made here."""
    try:
        found: dict[str, str] = json.loads(_file().read_text())
    except FileNotFoundError:
        return {}
    return found


def remember(fresh: Mapping[str, str]) -> None:
    """Add passwords that were made just now to those known."""
    if not fresh:
        return
    setting.write_private(_file(), json.dumps({**passwords(), **fresh}, indent=1))


def _workspace(name: str, slug: str, cast: tuple[Part, ...]) -> Prepared:
    return workspace_prepare(
        name=name,
        slug=slug,
        people=[part.draft for part in cast],
        must_change_password=False,
    )


def _file() -> Path:
    return setting.folder() / "passwords.json"
