"""``manage.py workspace_create``."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from countersign.accounts import selectors
from countersign.accounts.management.commands.workspace_create import parse_person
from countersign.accounts.models import User, Workspace
from policies import selectors as policies
from tests.harness.server import Clone

PEOPLE = [
    "--person=alice:operator:alice@example.org",
    "--person=bob:reviewer:finance,auditor:Bob Lee <bob@example.org>",
]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("workspace_create", *arguments, stdout=out)
    return out.getvalue()


def test_it_makes_workspace_people_and_policy(database: Clone) -> None:
    result = json.loads(run("Acme Payables", "--slug=payables", *PEOPLE, "--json"))
    workspace = Workspace.objects.get(slug="payables")
    assert result["created"] is True
    assert sorted(result["passwords"]) == ["alice", "bob"]
    bob = User.objects.get(username="bob")
    assert bob.name == "Bob Lee"
    assert bob.must_change_password
    assert bob.check_password(result["passwords"]["bob"])
    assert selectors.roles_of(bob.id, workspace.id) == {"reviewer:finance", "auditor"}
    assert policies.active_policy(workspace.id).number == 1


def test_running_it_again_is_quiet_and_gives_no_further_role(database: Clone) -> None:
    first = run("Acme", "--slug=acme", *PEOPLE)
    assert "one-time password" in first
    assert first.endswith("/w/acme/\n")
    again = run("Acme", "--slug=acme", *PEOPLE)
    assert "was there already" in again
    assert "password" not in again
    with pytest.raises(CommandError, match="an administrator proposes"):
        run("Acme", "--slug=acme", "--person=alice:operator,admin:alice@example.org")
    workspace = Workspace.objects.get(slug="acme")
    alice = User.objects.get(username="alice")
    assert selectors.roles_of(alice.id, workspace.id) == {"operator"}


@pytest.mark.parametrize(
    "text",
    ["alice", "alice:operator", "alice:operator:nowhere", ":operator:a@b.example", "a::a@b.c"],
)
def test_an_unreadable_person_is_explained(text: str) -> None:
    with pytest.raises(CommandError, match="USER:ROLE"):
        parse_person(text)


def test_a_wrong_role_or_slug_stops_it(database: Clone) -> None:
    with pytest.raises(CommandError, match="There is no role 'root'"):
        run("Acme", "--slug=acme", "--person=alice:root:alice@example.org")
    with pytest.raises(CommandError, match="slug"):
        run("Acme", "--slug=not a slug")
