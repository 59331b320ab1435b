"""The cast of every test: two workspaces and their people.

Alice operates, Bob and Beth review for finance, Rita reviews for security and finance, Carol and
Chris are policy officers, Dan audits, Ada administers. Mallory holds every role, in another
workspace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from audit.services import Actor
from countersign.accounts.models import User, Workspace
from countersign.accounts.services import (
    Asked,
    PersonDraft,
    member_propose,
    workspace_prepare,
)
from policies.services import change_apply
from tests.harness.server import Clone, Server, pointed_at

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

PEOPLE = {
    "alice": ("operator",),
    "bob": ("reviewer:finance",),
    "beth": ("reviewer:finance",),
    "rita": ("reviewer:security", "reviewer:finance"),
    "carol": ("policy_officer",),
    "chris": ("policy_officer",),
    "dan": ("auditor",),
    "ada": ("admin",),
}
EVERYTHING = ("operator", "policy_officer", "auditor", "admin", "reviewer:finance")


@dataclass(frozen=True)
class Cast:
    """``acme`` is where everyone works; ``other`` is Mallory's."""

    acme: Workspace
    other: Workspace
    passwords: dict[str, str]

    def user(self, username: str) -> User:
        return User.objects.get(username=username)

    def id(self, username: str) -> UUID:
        return self.user(username).id

    def actor(self, username: str) -> Actor:
        user = self.user(username)
        return Actor("user", str(user.id), user.name)


@contextmanager
def cast_on_stage(server: Server, blocker: DjangoDbBlocker) -> Iterator[Cast]:
    """The cast in a transaction that is rolled back; it is made once per test session."""
    with blocker.unblock():
        if server not in _stages:
            clone = server.clone()
            with pointed_at(clone):
                _stages[server] = (clone, make_cast())
        clone, cast = _stages[server]
        with pointed_at(clone), transaction.atomic():
            yield cast
            transaction.set_rollback(True)


_stages: WeakKeyDictionary[Server, tuple[Clone, Cast]] = WeakKeyDictionary()


def make_cast() -> Cast:
    """Make both workspaces; needs the ``database`` or ``committing_database`` fixture."""
    acme = workspace_prepare(
        name="Acme", slug="acme", people=[_person(name, roles) for name, roles in PEOPLE.items()]
    )
    other = workspace_prepare(name="Other", slug="other", people=[_person("mallory", EVERYTHING)])
    return Cast(acme.workspace, other.workspace, {**acme.passwords, **other.passwords})


def _person(username: str, roles: tuple[str, ...]) -> PersonDraft:
    return PersonDraft(username, username.capitalize(), f"{username}@example.org", roles)


def appoint(cast: Cast, username: str, *roles: str, by: str = "ada") -> None:
    """Give someone exactly these roles as people do: one proposes, an officer signs."""
    from tests.policies.approvals.asking import vote

    user = cast.user(username)
    person = PersonDraft(username, user.name, user.email, roles)
    asked = member_propose(workspace_id=cast.acme.id, actor=cast.actor(by), person=person, now=NOW)
    assert isinstance(asked, Asked), asked
    signed = vote(cast, asked.request, "chris" if username == "carol" else "carol")
    assert signed.completed, signed.refusal
    made = change_apply(workspace_id=cast.acme.id, request_id=asked.request.id, now=NOW)
    assert made is None, made
