"""A program that proposes, and the people who could sign through it or for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.registry import tool_specs
from agents.registry.writing import agent_text
from audit.services import Actor
from countersign.accounts.models import ServiceAccount
from countersign.accounts.scopes import Scope
from countersign.accounts.services import service_account_create, token_issue
from countersign.accounts.services.token import IssuedToken
from policies.errors import Reason, Refusal
from policies.models import Answer, ApprovalRequest, Meaning
from policies.selectors import active_policy, policy_version
from policies.services import VoteResult, change_apply, policy_activate, policy_submit, vote_cast
from tests.agents.runs.stage import Stage, make_stage, program
from tests.countersign.accounts.cast import Cast, appoint
from tests.countersign.api.caller import Caller

RULE = '\n@id("no-notes") forbid(principal, action == Action::"call:note_down", resource);\n'
PAY = program("pay(account='DE01', amount_cents=1000)")


@pytest.fixture
def stage(cast: Cast, settings: Any) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage(cast)


@pytest.fixture
def program_of_bob(stage: Stage) -> Caller:
    """A program whose account and token Bob made, who reviews and sets policy as well."""
    appoint(stage.cast, "bob", "admin", "reviewer:finance", "policy_officer")
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
