"""A change of tools that would leave the policy in force unable to decide anything is refused."""

import pytest
from pytest_django import Settings

from agents.errors import Refused
from agents.registry import Proposal, propose, register
from agents.registry.proposal import made_by
from agents.registry.service import tool_specs
from audit.services import Actor
from policies.errors import Refusal
from policies.models import ApprovalRequest, PolicyVersion
from policies.services import change_apply, policy_draft, policy_submit
from policies.starter import starter_text
from tests.agents.runs.stage import REGISTER
from tests.agents.tools.http_service import DOCUMENT
from tests.countersign.accounts.cast import NOW, Cast
from tests.policies.approvals.asking import vote

SYSTEM = Actor("system", "command-line", "Command line")
FROM_SERVICE = """
apis:
  ledger:
    document: ledger.yaml
    server: https://ledger.example/v1
    operations:
      pay: {operation: createPayment, effect: write, roles: {account: recipient}}
"""
ON_AN_ARGUMENT = (
    '\n@id("no-large-payment")\nforbid(principal, action == Action::"call:pay", resource)\n'
    "when { context.argument.amount_cents > 500 };\n"
)


@pytest.fixture
def cast(cast: Cast, settings: Settings) -> Cast:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    register(workspace_id=cast.acme.id, text=REGISTER, actor=SYSTEM)
    return cast


def ask(cast: Cast) -> object:
    return propose(
        workspace_id=cast.acme.id,
        text=FROM_SERVICE,
        actor=cast.actor("alice"),
        now=NOW,
        documents={"ledger.yaml": DOCUMENT},
    )


def put_in_force(cast: Cast, text: str) -> None:
    workspace_id, tools = cast.acme.id, tool_specs(cast.acme.id)
    carol = cast.actor("carol")
    version = policy_draft(workspace_id=workspace_id, author=carol, text=text, tools=tools)
    assert isinstance(version, PolicyVersion)
    request = policy_submit(
        workspace_id=workspace_id, version_id=version.id, submitter=carol, now=NOW, tools=tools
    )
    assert isinstance(request, ApprovalRequest)
    assert vote(cast, request, "chris").completed
    assert change_apply(workspace_id=workspace_id, request_id=request.id, now=NOW) is None


def test_a_tool_keeps_the_arguments_that_rules_in_force_read(cast: Cast) -> None:
    put_in_force(cast, starter_text() + ON_AN_ARGUMENT)
    with pytest.raises(Refused, match=r"Change the policy first.*amount_cents"):
        ask(cast)


def test_a_change_that_the_rules_do_not_see_is_asked_for(cast: Cast) -> None:
    assert isinstance(ask(cast), Proposal)


def test_a_signed_change_is_not_made_under_a_policy_that_does_not_fit_it(cast: Cast) -> None:
    asked = ask(cast)
    assert isinstance(asked, Proposal)
    assert asked.request is not None
    put_in_force(cast, starter_text() + ON_AN_ARGUMENT)
    assert vote(cast, asked.request, "carol").completed
    refused = change_apply(workspace_id=cast.acme.id, request_id=asked.request.id, now=NOW)
    assert isinstance(refused, Refusal)
    assert made_by(cast.acme.id, asked.request.id) is None
