"""Making a workspace and its first people; done from the command line only."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from audit.naming import PLATFORM_NAME
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts.errors import InvalidPerson
from countersign.accounts.models import Membership, Workspace
from countersign.accounts.services.member import PersonDraft, members_set_up, role_list
from policies.services import policy_install_starter

COMMAND_LINE = Actor("system", "command-line", "Command line")


@dataclass(frozen=True)
class Prepared:
    """A workspace with its people.

    Attributes:
        created: False where the workspace was there before.
        passwords: user name → one-time password, of accounts made just now.
    """

    workspace: Workspace
    created: bool
    passwords: Mapping[str, str]


def workspace_create(*, name: str, slug: str, actor: Actor = COMMAND_LINE) -> Workspace:
    """Make a workspace with the starter policy in force.

    Raises:
        InvalidPerson: name or slug cannot be used, or the slug is taken.
    """
    if slug == PLATFORM_NAME:
        raise InvalidPerson(f"{slug}: this stands for the installation itself; choose another.")
    workspace = Workspace(id=uuid.uuid4(), name=name.strip(), slug=slug)
    try:
        workspace.full_clean()
    except ValidationError as error:
        raise InvalidPerson(f"{slug}: {' '.join(error.messages)}") from error
    with in_workspace(workspace.id):
        workspace.save(force_insert=True)
        subject = Subject("workspace", str(workspace.id))
        detail = {"name": workspace.name, "slug": workspace.slug}
        record(workspace.id, [Draft("workspace.created", actor, subject, detail=detail)])
        policy_install_starter(workspace_id=workspace.id, actor=actor)
    return workspace


def workspace_prepare(
    *,
    name: str,
    slug: str,
    people: Sequence[PersonDraft],
    must_change_password: bool = True,
) -> Prepared:
    """Make the workspace and its first people, where it has none yet.

    All of it or nothing. Running it again changes nothing and shows no password; other people or
    other roles than those of a workspace with members are given by two of its members.

    Raises:
        InvalidPerson, InvalidRole: a description cannot be used, or differs from what is so; the
            message says why.
    """
    with transaction.atomic():
        workspace = Workspace.objects.filter(slug=slug).first()
        created = workspace is None
        if workspace is None:
            workspace = workspace_create(name=name, slug=slug)
        if Membership.objects.filter(workspace=workspace).exists():
            for person in people:
                _same(workspace, person)
            return Prepared(workspace, created, {})
        joined = members_set_up(
            workspace=workspace,
            actor=COMMAND_LINE,
            people=people,
            must_change_password=must_change_password,
        )
        passwords = {
            person.username: member.password
            for person, member in zip(people, joined, strict=True)
            if member.password
        }
        return Prepared(workspace, created, passwords)


def _same(workspace: Workspace, person: PersonDraft) -> None:
    wanted = role_list(person.roles)
    held = Membership.objects.filter(
        workspace=workspace, user__username__iexact=person.username
    ).first()
    if held is None or sorted(held.roles) != wanted:
        raise InvalidPerson(
            f"{workspace.slug} has its people. {person.username} is given roles under People in the"
            " console: an administrator proposes, a policy officer signs. Nothing was changed."
        )
