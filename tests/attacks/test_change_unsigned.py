"""Changing what is registered without a second person: by services, by ORM, by SQL."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import Error, IntegrityError, ProgrammingError, transaction
from pytest_django import Settings

from agents.errors import Refused
from agents.models import AgentTool, AgentVersion, ModelEndpoint, Registration, ToolVersion
from agents.registry import Proposal, propose, register, tool_specs
from agents.registry.plan import columns
from audit.services import Actor
from audit.transactions import in_workspace
from policies import cases
from policies.errors import NotFound, Reason, Refusal
from policies.forms import RuleForm, write
from policies.models import Approval, ApprovalRequest, PolicyVersion
from policies.services import approval_consume, change_apply, policy_draft, policy_submit
from tests.agents.runs import tools
from tests.agents.runs.stage import REGISTER, register_signed
from tests.attacks.approval import execute
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import state, vote

SYSTEM = Actor("system", "command-line", "Command line")
RAISED = REGISTER.replace("limits: {steps: 12", "limits: {steps: 99")
SECOND = REGISTER.replace("goal: Pay the vendors.", "goal: Pay nobody.")


@pytest.fixture
def cast(cast: Cast, settings: Settings) -> Cast:
    """The cast in a workspace that is set up."""
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    register(workspace_id=cast.acme.id, text=REGISTER, actor=SYSTEM)
    return cast


def proposed(cast: Cast, text: str = RAISED, who: str = "alice") -> ApprovalRequest:
    found = propose(workspace_id=cast.acme.id, text=text, actor=cast.actor(who), now=NOW)
    assert isinstance(found, Proposal)
    assert found.request is not None
    return found.request


def made(cast: Cast, request: ApprovalRequest) -> Refusal | None:
    return change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW)


def newest(cast: Cast) -> AgentVersion:
    with in_workspace(cast.acme.id):
        return AgentVersion.objects.select_related("endpoint").order_by("-number")[0]


def steps(cast: Cast) -> int:
    return int(newest(cast).limits["steps"])


def test_a_signed_proposal_takes_effect_once(cast: Cast) -> None:
    request = proposed(cast)
    assert steps(cast) == 12
    assert isinstance(made(cast, request), Refusal)
    assert steps(cast) == 12
    assert vote(cast, request, "carol").completed
    assert made(cast, request) is None
    assert made(cast, request) is None
    version = newest(cast)
    assert (version.number, version.limits["steps"], version.registered_by) == (2, 99, "Alice")
    assert version.author_id == str(cast.id("alice"))
    leaf = last(cast.acme.id, "agent.registered")
    assert leaf["detail"]["request"] == str(request.id)
    with in_workspace(cast.acme.id):
        assert Registration.objects.count() == 2


def test_the_same_file_again_asks_nobody(cast: Cast) -> None:
    again = propose(workspace_id=cast.acme.id, text=REGISTER, actor=cast.actor("alice"), now=NOW)
    assert isinstance(again, Proposal)
    assert again.request is None
    assert register(workspace_id=cast.acme.id, text=REGISTER, actor=SYSTEM).made == []


@pytest.mark.parametrize("actor", [SYSTEM, Actor("user", str(uuid4()), "Ada")])
def test_a_workspace_that_is_set_up_takes_no_file_unsigned(cast: Cast, actor: Actor) -> None:
    with pytest.raises(Refused, match="set up"):
        register(workspace_id=cast.acme.id, text=RAISED, actor=actor)
    assert steps(cast) == 12


def test_the_first_registration_comes_from_the_command_line_only(cast: Cast) -> None:
    with pytest.raises(Refused):
        register(workspace_id=cast.other.id, text=REGISTER, actor=cast.actor("mallory"))


@pytest.mark.parametrize("who", ["bob", "dan", "carol", "mallory"])
def test_only_operators_and_administrators_propose(cast: Cast, who: str) -> None:
    refused = propose(workspace_id=cast.acme.id, text=RAISED, actor=cast.actor(who), now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.ROLE
    assert actions(cast.acme.id)[-1] == "change.refused"


def test_nobody_signs_their_own_proposal_or_without_the_role(cast: Cast) -> None:
    request = proposed(cast)
    for who in ("alice", "ada", "bob", "dan", "mallory"):
        assert vote(cast, request, who).refusal is not None
    assert isinstance(made(cast, request), Refusal)
    assert steps(cast) == 12


def test_another_workspace_neither_proposes_nor_makes_it(cast: Cast) -> None:
    request = proposed(cast)
    vote(cast, request, "carol")
    with pytest.raises(NotFound):
        change_apply(workspace_id=cast.other.id, request_id=request.id, now=NOW)
    assert steps(cast) == 12


def test_what_changed_meanwhile_takes_the_proposal_out_of_force(cast: Cast) -> None:
    request = proposed(cast)
    vote(cast, request, "carol")
    register_signed(cast, SECOND)
    refusal = made(cast, request)
    assert refusal is not None
    assert refusal.reason is Reason.BINDING
    assert state(cast, request) == "superseded"
    assert (newest(cast).number, steps(cast)) == (2, 12)


def test_code_of_a_tool_that_changed_after_signing_is_not_registered(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "pay", replace(tools.pay, description="Pay somebody."))
    request = proposed(cast, REGISTER)
    vote(cast, request, "carol")
    monkeypatch.setattr(tools, "pay", replace(tools.pay, description="Pay me."))
    refusal = made(cast, request)
    assert refusal is not None
    assert refusal.reason is Reason.BINDING


def lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of "pay" now says risk tier 1, for which the starter policy asks nobody."""
    monkeypatch.setattr(tools, "pay", replace(tools.pay, tier=1))


def published(cast: Cast, **given: Any) -> None:
    """Another policy version in force, written by Carol and signed by Chris."""
    known = tool_specs(cast.acme.id)
    author = cast.actor("carol")
    version = policy_draft(workspace_id=cast.acme.id, author=author, tools=known, **given)
    assert isinstance(version, PolicyVersion)
    request = policy_submit(
        workspace_id=cast.acme.id, version_id=version.id, submitter=author, now=NOW, tools=known
    )
    assert isinstance(request, ApprovalRequest), request
    assert vote(cast, request, "chris").completed
    assert made(cast, request) is None


def promised(cast: Cast) -> None:
    """Every call of "pay" takes two signatures, whatever else changes."""
    two = RuleForm("two-for-pay", "tool", {"tool": "pay"}, role="reviewer", quorum=2)
    published(cast, invariants=[write(two)])


def test_a_tool_does_not_step_out_of_an_invariant_by_a_lower_tier(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised(cast)
    lowered(monkeypatch)
    with pytest.raises(Refused, match=r"break an invariant.*two-for-pay"):
        proposed(cast, REGISTER)


def test_an_invariant_made_since_stops_a_tool_that_was_signed_before(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        lowered(patched)
        request = proposed(cast, REGISTER)
        vote(cast, request, "carol")
    promised(cast)
    lowered(monkeypatch)
    refusal = made(cast, request)
    assert refusal is not None
    assert refusal.reason is Reason.BINDING
    with in_workspace(cast.acme.id):
        assert not ToolVersion.objects.filter(tool__name="pay", tier=1).exists()


def test_the_card_says_which_required_tests_would_fail(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"account": "x", "amount_cents": 1}
    published(cast, tests=[cases.call("Nobody pays alone", "pay", arguments, "review")])
    assert proposed(cast).displayed["failing_tests"] == []
    lowered(monkeypatch)
    assert proposed(cast, REGISTER).displayed["failing_tests"] == ["Nobody pays alone"]


def test_signed_content_cannot_be_swapped(cast: Cast) -> None:
    request = proposed(cast)
    vote(cast, request, "carol")
    with pytest.raises(Error, match="never changes"), transaction.atomic():
        execute(
            cast.acme.id,
            "UPDATE policies_approvalrequest SET binding = '{}' WHERE id = %(id)s",
            id=request.id,
        )


def test_too_late_is_too_late(cast: Cast) -> None:
    request = proposed(cast)
    vote(cast, request, "carol")
    refusal = change_apply(
        workspace_id=cast.acme.id, request_id=request.id, now=NOW + timedelta(days=15)
    )
    assert refusal is not None
    assert refusal.reason is Reason.EXECUTE_BY


def raised(cast: Cast, **changes: Any) -> dict[str, Any]:
    """The columns of an agent version like the newest, with other limits."""
    row = newest(cast)
    values = {
        **columns(row),
        "workspace_id": cast.acme.id,
        "agent_id": row.agent_id,
        "endpoint_id": row.endpoint_id,
        "number": row.number + 1,
        "digest": "e" * 64,
        "registered_by": "nobody",
    }
    return {**values, "limits": {**row.limits, "steps": 99}, **changes}


def test_a_version_without_a_registration_is_refused_by_the_database(cast: Cast) -> None:
    first = newest(cast).registration_id
    rows: tuple[dict[str, Any], ...] = (
        {},
        {"registration_id": first},
        {"registration_id": first, "digest": newest(cast).digest},
        {"registration_id": uuid4()},
    )
    for changes in rows:
        with (
            pytest.raises(IntegrityError, match="lists it"),
            transaction.atomic(),
            in_workspace(cast.acme.id),
        ):
            AgentVersion.objects.create(**raised(cast, **changes))
    with in_workspace(cast.acme.id):
        tool, model = ToolVersion.objects.all()[0], ModelEndpoint.objects.all()[0]
    tool.pk, tool.number, tool.tier = uuid4(), tool.number + 1, 0
    model.pk, model.number, model.base_url = uuid4(), 2, "http://evil.example/v1"
    for row in (tool, model):
        with (
            pytest.raises(IntegrityError, match="lists it"),
            transaction.atomic(),
            in_workspace(cast.acme.id),
        ):
            row.save(force_insert=True)


@pytest.mark.parametrize("table", ["agents_tool", "agents_agent"])
def test_what_was_registered_takes_no_other_name(cast: Cast, table: str) -> None:
    """Rules, runs and signatures call a tool by its name."""
    renamed = f"UPDATE {table} SET name = name || 's'"
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        execute(cast.acme.id, renamed)


def test_a_second_set_up_is_refused_by_the_database(cast: Cast) -> None:
    for number in (1, 2):
        with pytest.raises(IntegrityError), transaction.atomic(), in_workspace(cast.acme.id):
            Registration.objects.create(
                workspace_id=cast.acme.id, number=number, versions=[], registered_by="nobody"
            )


def test_a_registration_of_something_else_than_was_signed_is_refused(cast: Cast) -> None:
    request = proposed(cast)
    forged = [{**version, "digest": "e" * 64} for version in request.binding["versions"]]

    def forge(versions: object) -> Registration:
        with transaction.atomic(), in_workspace(cast.acme.id):
            return Registration.objects.create(
                workspace_id=cast.acme.id,
                number=2,
                request_id=request.id,
                versions=versions,
                registered_by="nobody",
            )

    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(request.binding["versions"])
    vote(cast, request, "carol")
    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(request.binding["versions"])
    used = approval_consume(
        workspace_id=cast.acme.id,
        request_id=request.id,
        binding=request.binding,
        consumer="attacker",
        now=NOW,
    )
    assert isinstance(used, Approval)
    with pytest.raises(IntegrityError, match="not what was signed"):
        forge(forged)
    registration = forge(request.binding["versions"])
    # Even so, the version must be as it was signed, to the last column.
    [listed] = request.binding["versions"]
    values = raised(cast, digest=listed["digest"], registration=registration)
    values["instructions"] = "Pay me."
    with (
        pytest.raises(IntegrityError, match="lists it"),
        transaction.atomic(),
        in_workspace(cast.acme.id),
    ):
        AgentVersion.objects.create(**values)


def test_an_agent_is_given_no_further_tool(cast: Cast) -> None:
    register_signed(
        cast, REGISTER.replace("tools: [list_vendors, read_note,", "tools: [read_note,")
    )
    with (
        pytest.raises(IntegrityError, match="not registered with this tool"),
        transaction.atomic(),
        in_workspace(cast.acme.id),
    ):
        AgentTool.objects.create(
            workspace_id=cast.acme.id,
            agent_version=newest(cast),
            tool_version=ToolVersion.objects.get(tool__name="list_vendors"),
        )


def test_a_file_of_several_kinds_is_decided_for_each(cast: Cast) -> None:
    request = proposed(cast, RAISED.replace("labels: [", 'labels: ["personal", '))
    assert {version["kind"] for version in request.binding["versions"]} == {"model", "agent"}
    assert actions(cast.acme.id).count("decision.made") == 2
