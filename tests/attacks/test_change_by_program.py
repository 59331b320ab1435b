"""A program that proposes, and the people who could sign through it or for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.registry import tool_specs
from agents.registry.writing import agent_text
from audit.services import Actor
from countersign.accounts.models import ServiceAccount
from countersign.accounts.scopes import Scope
from countersign.accounts.selectors import roles_of
from countersign.accounts.services import service_account_create, token_issue
from countersign.accounts.services.token import IssuedToken
from policies.errors import Reason, Refusal
from policies.models import Answer, ApprovalRequest, Meaning
from policies.selectors import active_policy, policy_version
from policies.services import VoteResult, change_apply, policy_activate, policy_submit, vote_cast
from tests.agents.runs.stage import Stage, make_stage, program
from tests.countersign.accounts.cast import Cast, appoint
from tests.countersign.accounts.log import last
from tests.countersign.api.caller import Caller, caller_in

RULE = '\n@id("no-notes") forbid(principal, action == Action::"call:note_down", resource);\n'
BOBS = ("admin", "reviewer:finance", "policy_officer")
PAY = program("pay(account='DE01', amount_cents=1000)")


@pytest.fixture
def stage(cast: Cast, settings: Any) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage(cast)


@pytest.fixture
def program_of_bob(stage: Stage) -> Caller:
    """A program whose account and token Bob made, who reviews and sets policy as well."""
    appoint(stage.cast, "bob", *BOBS)
    now, bob = datetime.now(UTC), stage.cast.actor("bob")
    account = service_account_create(workspace_id=stage.workspace_id, actor=bob, name="Bob's")
    assert isinstance(account, ServiceAccount)
    made = token_issue(
        workspace_id=stage.workspace_id,
        actor=bob,
        service_account_id=account.id,
        name="test",
        scopes=[scope.value for scope in Scope],
        expires=now + timedelta(days=1),
        now=now,
    )
    assert isinstance(made, IssuedToken)
    return Caller(made.secret)


def cast_vote(stage: Stage, change: dict[str, Any], voter: Actor) -> VoteResult:
    now = datetime.now(UTC)
    return vote_cast(
        workspace_id=stage.workspace_id,
        request_id=change["id"],
        voter=voter,
        answer=Answer.SIGN,
        meaning=Meaning.APPROVED,
        comment="",
        displayed_digest=change["displayed_digest"],
        reauthenticated_at=now,
        now=now,
    )


def registration(caller: Caller, stage: Stage) -> dict[str, Any]:
    body = {"file": agent_text(stage.workspace_id, "Teller", {"goal": "Pay Norr."})}
    change: dict[str, Any] = caller.post("changes/registrations", body).body["change"]
    return change


def why(result: VoteResult) -> Reason | None:
    return None if result.refusal is None else result.refusal.reason


def test_whoever_made_the_program_does_not_sign_what_it_proposes(
    program_of_bob: Caller, stage: Stage
) -> None:
    change = registration(program_of_bob, stage)
    assert why(cast_vote(stage, change, stage.cast.actor("bob"))) is Reason.BARRED
    assert cast_vote(stage, change, stage.cast.actor("carol")).completed


def test_the_program_itself_signs_nothing(program_of_bob: Caller, stage: Stage) -> None:
    change = registration(program_of_bob, stage)
    account = ServiceAccount.objects.get(name="Bob's")
    itself = Actor("service", str(account.id), account.name)
    assert why(cast_vote(stage, change, itself)) is Reason.NOT_A_PERSON
    # Nor under the name of a person's type.
    assert why(cast_vote(stage, change, Actor("user", str(account.id), "Bob"))) in (
        Reason.NOT_A_PERSON,
        Reason.REQUESTER,
    )
    for act in ("vote", "votes", "sign", "approve", "reject"):
        for noun in ("changes", "approvals"):
            assert program_of_bob.post(f"{noun}/{change['id']}/{act}", {}).status == 404


def test_a_policy_that_the_program_wrote_is_not_signed_by_its_maker(
    program_of_bob: Caller, stage: Stage
) -> None:
    """Also where somebody else submits it."""
    text = active_policy(stage.workspace_id).text + RULE
    drafted = program_of_bob.post("policies", {"text": text}).body
    version = policy_version(stage.workspace_id, drafted["number"])
    assert version is not None
    asked = policy_submit(
        workspace_id=stage.workspace_id,
        version_id=version.id,
        submitter=stage.cast.actor("carol"),
        now=datetime.now(UTC),
        tools=tool_specs(stage.workspace_id),
    )
    assert isinstance(asked, ApprovalRequest)
    change = {"id": asked.id, "displayed_digest": asked.displayed_digest}
    assert why(cast_vote(stage, change, stage.cast.actor("bob"))) is Reason.BARRED
    assert cast_vote(stage, change, stage.cast.actor("chris")).completed


def test_what_the_program_registered_its_maker_does_not_sign_for(
    program_of_bob: Caller, stage: Stage
) -> None:
    """Bob reviews for finance; effects of an agent that his program wrote are not his to sign."""
    change = registration(program_of_bob, stage)
    assert cast_vote(stage, change, stage.cast.actor("carol")).completed
    now = datetime.now(UTC)
    made = change_apply(workspace_id=stage.workspace_id, request_id=change["id"], now=now)
    assert made is None
    run = stage.play(stage.start(PAY))
    assert why(stage.vote(run, "bob")) is Reason.BARRED
    assert why(stage.vote(run, "beth")) is None


def test_no_program_puts_a_policy_in_force(program_of_bob: Caller, stage: Stage) -> None:
    text = active_policy(stage.workspace_id).text + RULE
    number = program_of_bob.post("policies", {"text": text}).body["number"]
    change = program_of_bob.post(f"policies/{number}/submit", {}).body["change"]
    account = ServiceAccount.objects.get(name="Bob's")
    refused = policy_activate(
        workspace_id=stage.workspace_id,
        request_id=change["id"],
        actor=Actor("service", str(account.id), account.name),
        now=datetime.now(UTC),
    )
    assert isinstance(refused, Refusal)
    assert active_policy(stage.workspace_id).number == 1


# Roles.


def propose_roles(caller: Caller, username: str, *roles: str) -> Any:
    return caller.post("changes/roles", {"username": username, "roles": list(roles)})


def test_no_program_gives_its_makers_roles(program_of_bob: Caller, stage: Stage) -> None:
    """Else an administrator would propose for themselves through it."""
    found = propose_roles(program_of_bob, "bob", *[*BOBS, "auditor"])
    assert (found.status, found.code) == (409, "own_roles")
    leaf = last(stage.workspace_id, "member.refused")
    assert (leaf["actor"]["type"], leaf["detail"]["reason"]) == ("service", "own_roles")
    assert program_of_bob.get("changes", state="waiting").body["items"] == []


def test_neither_maker_nor_person_signs_a_programs_proposal_of_roles(
    program_of_bob: Caller, stage: Stage
) -> None:
    change = propose_roles(program_of_bob, "carol", "policy_officer", "admin").body["change"]
    assert why(cast_vote(stage, change, stage.cast.actor("bob"))) is Reason.BARRED
    assert why(cast_vote(stage, change, stage.cast.actor("carol"))) is Reason.BARRED
    assert cast_vote(stage, change, stage.cast.actor("chris")).completed


def test_a_token_signs_no_role_and_makes_none(program_of_bob: Caller, stage: Stage) -> None:
    change = propose_roles(program_of_bob, "dan", "admin").body["change"]
    for act in ("vote", "votes", "sign", "approve", "apply"):
        assert program_of_bob.post(f"changes/{change['id']}/{act}", {}).status == 404
    about: dict[str, Any] = {"workspace_id": stage.workspace_id, "request_id": change["id"]}
    assert isinstance(change_apply(**about, now=datetime.now(UTC)), Refusal)
    assert roles_of(stage.cast.id("dan"), stage.workspace_id) == {"auditor"}


def test_a_token_without_the_scope_proposes_no_role(stage: Stage) -> None:
    scopes = [scope for scope in Scope if scope is not Scope.REGISTRY_CHANGE]
    found = propose_roles(caller_in(stage.cast.acme, *scopes), "dan", "admin")
    assert (found.status, found.code) == (403, "scope")


@pytest.mark.parametrize(
    ("who", "wanted", "reason"), [("ada", "auditor", "last_admin"), ("carol", "auditor", "")]
)
def test_nobody_is_left_without_an_administrator_or_an_officer(
    stage: Stage, who: str, wanted: str, reason: str
) -> None:
    program = caller_in(stage.cast.acme)
    found = propose_roles(program, who, wanted)
    assert found.code == reason if reason else found.status == 201


def test_two_proposals_do_not_take_both_officers_away(stage: Stage) -> None:
    """Each leaves one officer when it is asked for; the second is refused when it is made."""
    program = caller_in(stage.cast.acme)
    first = propose_roles(program, "carol", "auditor").body["change"]
    second = propose_roles(program, "chris", "auditor").body["change"]
    assert cast_vote(stage, first, stage.cast.actor("chris")).completed
    assert cast_vote(stage, second, stage.cast.actor("carol")).completed
    now = datetime.now(UTC)
    for change, expected in ((first, None), (second, Reason.LAST_OFFICER)):
        made = change_apply(workspace_id=stage.workspace_id, request_id=change["id"], now=now)
        assert (made.reason if made else None) is expected
    assert "policy_officer" in roles_of(stage.cast.id("chris"), stage.workspace_id)
