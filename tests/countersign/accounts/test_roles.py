"""Roles: memberships, groups, and what the two must agree on."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.services import Actor
from countersign.accounts import selectors
from countersign.accounts.directory import Directory
from countersign.accounts.errors import InvalidPerson, InvalidRole, UnknownAccount
from countersign.accounts.models import User
from countersign.accounts.roles import Permission, group_name
from countersign.accounts.services import (
    Asked,
    PersonDraft,
    member_propose,
    member_remove,
    member_set_roles,
    workspace_prepare,
)
from policies.errors import Reason, Refusal
from tests.countersign.accounts.cast import NOW, Cast, appoint
from tests.countersign.accounts.log import actions, last

SYSTEM = Actor("system", "command-line", "Command line")


def propose(cast: Cast, person: PersonDraft, who: str = "ada") -> Asked | Refusal:
    where = cast.other if who == "mallory" else cast.acme
    return member_propose(workspace_id=where.id, actor=cast.actor(who), person=person, now=NOW)


def test_a_role_is_a_permission_on_one_workspace(cast: Cast) -> None:
    alice = cast.user("alice")
    assert selectors.may(alice, Permission.OPERATE, cast.acme)
    assert not selectors.may(alice, Permission.SET_POLICY, cast.acme)
    assert not selectors.may(alice, Permission.OPERATE, cast.other)
    assert selectors.may(cast.user("bob"), Permission.REVIEW, cast.acme)


def test_the_application_cannot_make_a_superuser(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("countersign_app",)
    for flag in ("is_superuser", "is_staff"):
        with pytest.raises(IntegrityError, match=r"no_(superuser|staff)"), transaction.atomic():
            User.objects.filter(username="ada").update(**{flag: True})


def test_another_workspace_is_not_there(cast: Cast) -> None:
    mallory = cast.user("mallory")
    assert selectors.workspace_for(mallory, "acme") is None
    assert selectors.workspace_for(mallory, "no-such-place") is None
    assert selectors.workspace_for(mallory, "other") == cast.other
    assert selectors.roles_of(mallory.id, cast.acme.id) == frozenset()


def test_an_inactive_person_holds_nothing(cast: Cast) -> None:
    User.objects.filter(username="bob").update(is_active=False)
    bob = cast.user("bob")
    assert selectors.roles_of(bob.id, cast.acme.id) == frozenset()
    assert selectors.workspace_for(bob, "acme") is None
    assert Directory().person(str(bob.id)) is None


def test_one_wrong_row_gives_nobody_a_role(cast: Cast) -> None:
    dan = cast.user("dan")
    dan.groups.add(Group.objects.get(name=group_name(cast.acme.id, "operator")))
    assert selectors.roles_of(dan.id, cast.acme.id) == {"auditor"}


def test_the_directory_knows_people_only(cast: Cast) -> None:
    directory = Directory()
    names = [
        person.name for person in directory.members_with_role(cast.acme.id, "reviewer:finance")
    ]
    assert names == ["Beth", "Bob", "Rita"]
    assert directory.members_with_role(cast.other.id, "reviewer:security") == []
    assert directory.person("not-an-id") is None
    assert directory.roles("not-an-id", cast.acme.id) == frozenset()


def test_only_an_administrator_changes_roles(cast: Cast) -> None:
    refused = member_set_roles(
        workspace_id=cast.acme.id,
        actor=cast.actor("alice"),
        user_id=cast.id("bob"),
        roles=["operator"],
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.ROLE
    assert last(cast.acme.id, "member.refused")["actor"]["name"] == "Alice"


def test_an_administrator_of_elsewhere_is_nobody_here(cast: Cast) -> None:
    refused = member_remove(
        workspace_id=cast.acme.id, actor=cast.actor("mallory"), user_id=cast.id("bob")
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.ROLE


def test_nobody_changes_their_own_roles(cast: Cast) -> None:
    refused = member_set_roles(
        workspace_id=cast.acme.id,
        actor=cast.actor("ada"),
        user_id=cast.id("ada"),
        roles=["admin", "reviewer:finance"],
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.OWN_ROLES
    assert selectors.roles_of(cast.id("ada"), cast.acme.id) == {"admin"}


def test_a_workspace_keeps_an_administrator_and_an_officer(cast: Cast) -> None:
    refused = member_remove(workspace_id=cast.acme.id, actor=SYSTEM, user_id=cast.id("ada"))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LAST_ADMIN
    ada = cast.actor("ada")
    assert member_remove(workspace_id=cast.acme.id, actor=ada, user_id=cast.id("carol")) is None
    refused = member_remove(workspace_id=cast.acme.id, actor=ada, user_id=cast.id("chris"))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LAST_OFFICER


def test_changed_roles_count_at_once_and_are_in_the_log(cast: Cast) -> None:
    appoint(cast, "bob", "auditor")
    assert selectors.roles_of(cast.id("bob"), cast.acme.id) == {"auditor"}
    bob = cast.user("bob")
    assert not selectors.may(bob, Permission.REVIEW, cast.acme)
    detail = last(cast.acme.id, "member.changed")["detail"]
    assert detail == {"before": ["reviewer:finance"], "roles": ["auditor"]}


def test_a_removed_member_is_gone_but_the_person_stays(cast: Cast) -> None:
    assert (
        member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=cast.id("bob"))
        is None
    )
    bob = cast.user("bob")
    assert not bob.groups.exists()
    assert selectors.workspace_for(bob, "acme") is None
    assert actions(cast.acme.id)[-1] == "member.removed"
    with pytest.raises(UnknownAccount):
        member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=bob.id)


def test_the_list_of_people_says_of_all_at_once_what_counts_of_each(cast: Cast) -> None:
    rita = cast.user("rita")
    rita.groups.remove(rita.groups.get(name__contains="security"))
    User.objects.filter(username="dan").update(is_active=False)
    with CaptureQueriesContext(connection) as queries:
        found = {row.user.username: row.roles for row in selectors.people(cast.acme.id)}
    assert len(queries) == 2
    for username, roles in found.items():
        assert set(roles) == selectors.roles_of(cast.id(username), cast.acme.id)
    assert found["rita"] == ("reviewer:finance",)
    assert found["dan"] == ()


def test_names_are_those_of_the_workspace(cast: Cast) -> None:
    found = selectors.names(cast.acme.id)
    assert found[str(cast.id("alice"))] == "Alice"
    assert str(cast.id("mallory")) not in found


def test_a_known_person_joins_a_second_workspace_without_a_new_password(cast: Cast) -> None:
    asked = propose(cast, PersonDraft("BOB", "Whoever", "bob@example.org", ["auditor"]), "mallory")
    assert isinstance(asked, Asked)
    assert asked.password == ""
    assert asked.request.binding["people"][0]["user"] == str(cast.id("bob"))
    assert selectors.roles_of(cast.id("bob"), cast.acme.id) == {"reviewer:finance"}


@pytest.mark.parametrize(
    ("person", "error"),
    [
        (PersonDraft("bob", "Bob", "bob@evil.example", ["operator"]), InvalidPerson),
        (PersonDraft("bobby", "Bob", "BOB@example.org", ["operator"]), InvalidPerson),
        (PersonDraft("has space", "X", "x@example.org", ["operator"]), InvalidPerson),
        (PersonDraft("new", "X", "x@example.org", []), InvalidPerson),
        (PersonDraft("new", "X", "x@example.org", ["root"]), InvalidRole),
        (PersonDraft("new", "X", "x@example.org", ["reviewer:"]), InvalidRole),
        (PersonDraft("new", "X", "x@example.org", ["reviewer:a\nb"]), InvalidRole),
    ],
)
def test_an_unusable_person_is_named(
    cast: Cast, person: PersonDraft, error: type[Exception]
) -> None:
    with pytest.raises(error):
        propose(cast, person)


def test_addresses_are_payloads_not_leaves(cast: Cast) -> None:
    leaf = last(cast.acme.id, "member.added")
    assert "example.org" not in str(leaf)
    assert "person" in leaf["payloads"]


def test_preparing_again_changes_nothing_and_shows_no_password(cast: Cast) -> None:
    before = actions(cast.acme.id)
    people = [PersonDraft("alice", "Alice", "alice@example.org", ["operator"])]
    again = workspace_prepare(name="Acme", slug="acme", people=people)
    assert not again.created
    assert again.passwords == {}
    more = PersonDraft("alice", "Alice", "alice@example.org", ["operator", "admin"])
    new = PersonDraft("eve", "Eve", "eve@example.org", ["admin"])
    for person in (more, new):
        with pytest.raises(InvalidPerson, match="a policy officer signs"):
            workspace_prepare(name="Acme", slug="acme", people=[person])
    assert actions(cast.acme.id) == before
    assert not User.objects.filter(username="eve").exists()
