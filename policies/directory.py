"""Who people are and which roles they hold, as this room needs to know it.

The room does not import the Django project; settings name the implementation.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class Person:
    """An active person. ``id`` is the text of the user's UUID."""

    id: str
    name: str
    email: str


class Directory(Protocol):
    """Answers from the state that the current transaction sees; never from a cache."""

    def roles(self, user_id: str, workspace_id: UUID) -> frozenset[str]:
        """The roles an active person holds now; empty for anyone and anything else."""

    def person(self, user_id: str) -> Person | None:
        """The active person with this id; None for service accounts and unknown ids."""

    def members_with_role(self, workspace_id: UUID, role: str) -> list[Person]:
        """Active people who hold ``role`` now, by name."""

    def behind(self, account_id: str) -> frozenset[str]:
        """Ids of the people who made a service account or any of its tokens.

        They can act through it, so they may not countersign what it asked for.
        """

    def has_factor(self, user_id: str) -> bool:
        """Whether the person has an authenticator set up."""

    def gave_code(self, user_id: str, purpose: str, since: datetime) -> bool:
        """Whether the person gave a right code of their authenticator for just this, since then.

        ``purpose``: what the code was given for, such as the id of the request to be signed.
        """


class OnePage:
    """A directory that asks each question once, for one page of many requests.

    Made and dropped within one transaction; what it remembers must not outlive it.
    """

    def __init__(self, people: Directory) -> None:
        self.roles = cache(people.roles)
        self.person = cache(people.person)
        self.members_with_role = cache(people.members_with_role)
        self.behind = cache(people.behind)
        self.has_factor = cache(people.has_factor)
        self.gave_code = cache(people.gave_code)


@cache
def directory() -> Directory:
    """The directory that ``settings.COUNTERSIGN_DIRECTORY`` names."""
    implementation = import_string(settings.COUNTERSIGN_DIRECTORY)
    return cast("Directory", implementation())
