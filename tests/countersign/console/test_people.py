"""Adding people, giving them roles and taking roles away, in the console."""

import re

from countersign.accounts import selectors
from policies import selectors as policies
from policies.services import change_apply
from tests.countersign.accounts.authenticator import enrol
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.policies.approvals.asking import vote

PEOPLE = "/w/acme/people/"


def roles(cast: Cast, username: str) -> frozenset[str]:
    return selectors.roles_of(cast.id(username), cast.acme.id)


def test_a_new_person_is_proposed_with_a_password_shown_once(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    given = {"username": "eve", "name": "Eve", "email": "eve@example.org", "groups": "finance"}
    page = ada.post(f"{PEOPLE}add/", given).content.decode()
    password = re.search(r'mono">([a-z0-9-]{19})<', page)
    assert password is not None
    assert cast.user("eve").check_password(password[1])
    listed = ada.get(PEOPLE).content.decode()
    assert "Ada wants to give Eve the role reviewer:finance" in listed
    assert password[1] not in listed
    [request] = policies.requests(cast.acme.id)
    vote(cast, request, "carol", now=request.created)
    change_apply(workspace_id=cast.acme.id, request_id=request.id, now=request.created)
    assert roles(cast, "eve") == {"reviewer:finance"}


def test_a_role_gained_waits_and_a_role_lost_is_gone(cast: Cast, log_in: LogIn) -> None:
    ada, rita = log_in("ada"), f"{PEOPLE}{cast.id('rita')}/"
    assert 'value="finance, security"' in ada.get(rita).content.decode()
    more = ada.post(rita, {"groups": "security, finance", "roles": ["auditor"]}, follow=True)
    assert "Nothing changes before a policy officer signs it" in more.content.decode()
    assert roles(cast, "rita") == {"reviewer:security", "reviewer:finance"}
    less = ada.post(rita, {"groups": "security"}, follow=True)
    assert "Rita has these roles only" in less.content.decode()
    assert roles(cast, "rita") == {"reviewer:security"}


def test_faults_are_said_where_they_are(cast: Cast, log_in: LogIn) -> None:
    ada, bob = log_in("ada"), f"{PEOPLE}{cast.id('bob')}/"
    assert "Choose at least one role." in ada.post(bob, {}).content.decode()
    assert "A group is lower-case" in ada.post(bob, {"groups": "Fin ance"}).content.decode()
    same = {"username": "bob", "name": "Bob", "email": "bob@evil.example", "roles": ["admin"]}
    assert "belongs to somebody else" in ada.post(f"{PEOPLE}add/", same).content.decode()
    own = f"{PEOPLE}{cast.id('ada')}/"
    answer = ada.post(own, {"roles": ["admin", "policy_officer"]}).content.decode()
    assert "Nobody changes their own roles" in answer


def test_a_membership_ends_when_one_is_sure(cast: Cast, log_in: LogIn) -> None:
    ada, dan = log_in("ada"), f"{PEOPLE}{cast.id('dan')}/remove/"
    assert ada.post(dan, {}).status_code == 422
    assert roles(cast, "dan") == {"auditor"}
    done = text(ada.post(dan, {"sure": "on"}, follow=True).content.decode())
    assert "Dan is no member any more." in done
    assert roles(cast, "dan") == frozenset()
    assert log_in("dan").get(PEOPLE).status_code == 404


def test_a_lost_authenticator_is_taken_away_by_two(cast: Cast, log_in: LogIn) -> None:
    ada, bob = log_in("ada"), f"{PEOPLE}{cast.id('bob')}/"
    assert "Second factor</h2>" not in ada.get(bob).content.decode()
    enrol(cast, "bob")
    assert "Ask for it to be taken away" in ada.get(bob).content.decode()
    assert ada.post(f"{bob}second-factor/", {}).status_code == 422
    sent = ada.post(f"{bob}second-factor/", {"reason": "He called; I know his voice."}, follow=True)
    page = sent.content.decode()
    assert "Nothing changes before a policy officer signs it" in page
    assert "Ada wants the authenticator of Bob taken away." in page
    [request] = policies.requests(cast.acme.id)
    card = text(log_in("carol").get(f"/w/acme/approvals/{request.id}/").content.decode())
    assert "He called; I know his voice." in card
    vote(cast, request, "carol", now=request.created)
    change_apply(workspace_id=cast.acme.id, request_id=request.id, now=request.created)
    assert selectors.factor_of(cast.id("bob")) is None
