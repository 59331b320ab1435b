"""Making a workspace and its first people; done from the command line only."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts.errors import InvalidPerson
from countersign.accounts.models import Membership, Workspace
from countersign.accounts.services.member import PersonDraft, member_add, member_set_roles
from policies.errors import Refusal
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
    """Make the workspace and its people where they are missing; set roles where they differ.

    All of it or nothing. Running it again changes nothing and shows no password.

    Raises:
        InvalidPerson, InvalidRole: a description cannot be used; the message says why.
    """
    with transaction.atomic():
        return _prepare(name, slug, people, must_change_password=must_change_password)


def _prepare(
    name: str, slug: str, people: Sequence[PersonDraft], *, must_change_password: bool
) -> Prepared:
    workspace = Workspace.objects.filter(slug=slug).first()
    created = workspace is None
    if workspace is None:
        workspace = workspace_create(name=name, slug=slug)
    passwords = {}
    for person in people:
        known = Membership.objects.filter(
            workspace=workspace, user__username__iexact=person.username
        ).first()
        password = (
            _add(workspace, person, must_change_password=must_change_password)
            if known is None
            else _keep(workspace, known, person)
        )
        if password:
            passwords[person.username] = password
    return Prepared(workspace, created, passwords)


def _add(workspace: Workspace, person: PersonDraft, *, must_change_password: bool) -> str:
    joined = member_add(
        workspace_id=workspace.id,
        actor=COMMAND_LINE,
        person=person,
        must_change_password=must_change_password,
    )
    if isinstance(joined, Refusal):
        raise InvalidPerson(joined.sentence)
    return joined.password


def _keep(workspace: Workspace, membership: Membership, person: PersonDraft) -> str:
    changed = member_set_roles(
        workspace_id=workspace.id,
        actor=COMMAND_LINE,
        user_id=membership.user_id,
        roles=person.roles,
    )
    if isinstance(changed, Refusal):
        raise InvalidPerson(changed.sentence)
    return ""
