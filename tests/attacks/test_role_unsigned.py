"""Getting a role without a second person: by services, by ORM, by SQL."""

from uuid import uuid4

import pytest
from django.db import Error, IntegrityError, transaction

from audit.transactions import in_workspace
from countersign.accounts import selectors
from countersign.accounts.models import Appointment, Membership
from countersign.accounts.services import (
    Asked,
    PersonDraft,
    member_propose,
    member_remove,
    member_set_roles,
)
from policies.errors import NotFound, Reason, Refusal
from policies.models import ApprovalRequest
from policies.services import change_apply
from tests.attacks.approval import execute
from tests.countersign.accounts.cast import NOW, Cast, appoint
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import ONE_FINANCE, ask, consume, state, vote


def proposed(cast: Cast, username: str, *roles: str, by: str = "ada") -> ApprovalRequest:
    user = cast.user(username)
    person = PersonDraft(username, user.name, user.email, roles)
    asked = member_propose(workspace_id=cast.acme.id, actor=cast.actor(by), person=person, now=NOW)
    assert isinstance(asked, Asked), asked
    return asked.request


def made(cast: Cast, request: ApprovalRequest) -> Refusal | None:
    return change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW)


def roles(cast: Cast, username: str) -> frozenset[str]:
    return selectors.roles_of(cast.id(username), cast.acme.id)


def test_a_role_is_given_by_two_people_once(cast: Cast) -> None:
    request = proposed(cast, "dan", "auditor", "operator")
    assert roles(cast, "dan") == {"auditor"}
    assert isinstance(made(cast, request), Refusal)
    assert vote(cast, request, "carol").completed
    assert made(cast, request) is None
    assert roles(cast, "dan") == {"auditor", "operator"}
    assert last(cast.acme.id, "member.changed")["actor"]["name"] == "Ada"
    ada = cast.actor("ada")
    member_set_roles(
        workspace_id=cast.acme.id, actor=ada, user_id=cast.id("dan"), roles=["auditor"]
    )
    assert made(cast, request) is None
    assert roles(cast, "dan") == {"auditor"}


def test_a_new_person_may_nothing_before_it_is_signed(cast: Cast) -> None:
    asked = member_propose(
        workspace_id=cast.acme.id,
        actor=cast.actor("ada"),
        person=PersonDraft("eve", "Eve", "eve@example.org", ["admin"]),
        now=NOW,
    )
    assert isinstance(asked, Asked)
    assert asked.password
    assert cast.user("eve").must_change_password
    assert selectors.workspace_for(cast.user("eve"), "acme") is None
    assert vote(cast, asked.request, "eve").refusal is not None
    vote(cast, asked.request, "carol")
    assert made(cast, asked.request) is None
    assert roles(cast, "eve") == {"admin"}
    assert "eve@example.org" not in str(asked.request.displayed)


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "dan", "mallory"])
def test_only_an_administrator_proposes(cast: Cast, who: str) -> None:
    beth = PersonDraft("beth", "Beth", "beth@example.org", ["admin"])
    refused = member_propose(workspace_id=cast.acme.id, actor=cast.actor(who), person=beth, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.ROLE
    assert actions(cast.acme.id)[-1] == "member.refused"


def test_nobody_proposes_for_themselves_or_signs_their_own(cast: Cast) -> None:
    ada = PersonDraft("ada", "Ada", "ada@example.org", ["admin", "policy_officer"])
    refused = member_propose(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), person=ada, now=NOW
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.OWN_ROLES
    # Whom it concerns may not sign, even as a policy officer.
    request = proposed(cast, "carol", "policy_officer", "admin")
    refusal = vote(cast, request, "carol").refusal
    assert refusal is not None
    assert refusal.reason is Reason.BARRED
    assert vote(cast, request, "ada").refusal is not None
    assert vote(cast, request, "chris").completed


def test_an_administrator_alone_only_takes_away(cast: Cast) -> None:
    refused = member_set_roles(
        workspace_id=cast.acme.id,
        actor=cast.actor("ada"),
        user_id=cast.id("dan"),
        roles=["auditor", "operator"],
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.INCOMPLETE
    assert roles(cast, "dan") == {"auditor"}


def test_what_the_person_held_then_must_still_be_so(cast: Cast) -> None:
    request = proposed(cast, "rita", "reviewer:security", "auditor")
    vote(cast, request, "carol")
    member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=cast.id("rita"))
    refusal = made(cast, request)
    assert refusal is not None
    assert refusal.reason is Reason.BINDING
    assert state(cast, request) == "superseded"
    assert roles(cast, "rita") == frozenset()


def test_a_signer_who_lost_the_role_no_longer_gives_one(cast: Cast) -> None:
    request = proposed(cast, "dan", "auditor", "operator")
    vote(cast, request, "carol")
    member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=cast.id("carol"))
    refusal = made(cast, request)
    assert refusal is not None
    assert refusal.reason is Reason.VOTER_INELIGIBLE
    assert roles(cast, "dan") == {"auditor"}


def test_a_role_taken_away_stops_a_completed_approval(cast: Cast) -> None:
    request = ask(cast, requirement=ONE_FINANCE)
    vote(cast, request, "bob")
    appoint(cast, "bob", "auditor")
    refused = consume(cast, request)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.VOTER_INELIGIBLE


def test_another_workspace_does_not_make_it(cast: Cast) -> None:
    request = proposed(cast, "dan", "auditor", "operator")
    vote(cast, request, "carol")
    with pytest.raises(NotFound):
        change_apply(workspace_id=cast.other.id, request_id=request.id, now=NOW)


def test_the_database_refuses_a_membership_beyond_the_appointment(cast: Cast) -> None:
    with pytest.raises(IntegrityError, match="no appointment"), transaction.atomic():
        Membership.objects.filter(user=cast.user("dan")).update(roles=["auditor", "admin"])
    with pytest.raises(IntegrityError, match="no appointment"), transaction.atomic():
        Membership.objects.create(
            user=cast.user("mallory"), workspace=cast.acme, roles=["operator"]
        )
    with pytest.raises(IntegrityError, match="another"), transaction.atomic():
        Membership.objects.filter(user=cast.user("ada")).update(user=cast.user("mallory"))


def test_the_database_refuses_an_old_appointment_after_a_role_was_taken(cast: Cast) -> None:
    member_remove(workspace_id=cast.acme.id, actor=cast.actor("ada"), user_id=cast.id("carol"))
    with pytest.raises(IntegrityError, match="no appointment"), transaction.atomic():
        Membership.objects.create(
            user=cast.user("carol"), workspace=cast.acme, roles=["policy_officer"]
        )


def forge(cast: Cast, number: int, people: object, request: ApprovalRequest | None) -> None:
    with transaction.atomic(), in_workspace(cast.acme.id):
        Appointment.objects.create(
            workspace=cast.acme,
            number=number,
            people=people,
            request=request,
            appointed_by="nobody",
        )


def test_the_database_refuses_a_forged_appointment(cast: Cast) -> None:
    mallory = [{"user": str(cast.id("mallory")), "roles": ["admin"]}]
    for number in (0, 1):
        with pytest.raises(IntegrityError):
            forge(cast, number, mallory, None)
    with pytest.raises(IntegrityError, match="two people"):
        forge(cast, 2, mallory, None)
    request = proposed(cast, "dan", "auditor", "operator")
    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(cast, 2, request.binding["people"], request)
    vote(cast, request, "carol")
    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(cast, 2, request.binding["people"], request)
    assert made(cast, request) is None
    with pytest.raises(IntegrityError):
        forge(cast, 3, request.binding["people"], request)
    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(cast, 3, mallory, request)


def test_an_appointment_is_never_changed(cast: Cast) -> None:
    for statement in (
        "UPDATE accounts_appointment SET people = '[]'",
        "DELETE FROM accounts_appointment",
    ):
        with pytest.raises(Error, match="permission denied"), transaction.atomic():
            execute(cast.acme.id, statement, id=uuid4())
