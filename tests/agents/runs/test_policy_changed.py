"""A policy that takes effect while people are still asked: nobody signs for the one before."""

from datetime import UTC, datetime

import pytest

from agents import services
from agents.models import Run, RunState, StepState
from policies import selectors
from policies import services as policies
from policies.errors import Reason
from policies.models import ApprovalRequest, ApprovalState
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank
from tests.attacks.test_run_bypasses import FORBID, change_policy, without_tier_3

PAY = program("made = [pay(account=v['account'], amount_cents=1000) for v in list_vendors()]")
ANSWER = program("final_answer({'done': 'paid'})")


@pytest.fixture
def run(stage: Stage) -> Run:
    run = stage.play(stage.start(PAY, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    return run


def renew(stage: Stage, run: Run) -> Run:
    """What the sweep does, and the worker that it wakes."""
    for old in selectors.approvals_outdated():
        if old.run_id == run.id:
            services.approval_renew(workspace_id=old.workspace_id, request_id=old.request_id)
    return stage.play(run)


def state(request: ApprovalRequest, stage: Stage) -> str:
    found = selectors.request(stage.workspace_id, request.id)
    assert found is not None
    return found.state


def test_nothing_is_asked_anew_while_the_policy_stays(stage: Stage, run: Run) -> None:
    asked = stage.request(run)
    assert selectors.approvals_outdated() == []
    assert renew(stage, run).state == RunState.AWAITING_APPROVAL
    assert stage.request(run).id == asked.id


def test_what_waits_is_decided_anew_and_the_old_request_takes_no_signature(
    stage: Stage, run: Run
) -> None:
    asked = stage.request(run)
    assert stage.vote(run, "bob").refusal is None
    change_policy(stage, lambda text: text + "\n// other\n")
    run = renew(stage, run)
    renewed = stage.request(run)
    assert (run.state, renewed.supersedes_id) == (RunState.AWAITING_APPROVAL, asked.id)
    refusal = stage.vote_on(asked, "beth").refusal
    assert refusal is not None
    assert refusal.reason is Reason.STATE
    assert selectors.approvals_outdated() == []
    for name in ("bob", "beth"):
        assert stage.vote(run, name).refusal is None
    assert stage.play(run).state == RunState.SUCCEEDED
    assert len(bank.effects) == 2


def test_what_the_new_policy_forbids_waits_no_longer(stage: Stage, run: Run) -> None:
    asked = stage.request(run)
    change_policy(stage, lambda text: text + FORBID)
    run = renew(stage, run)
    assert (state(asked, stage), bank.effects) == (ApprovalState.SUPERSEDED, [])
    assert stage.steps(run)[0].state == StepState.DENIED


def test_what_the_new_policy_allows_happens_and_leaves_the_queue(stage: Stage, run: Run) -> None:
    asked = stage.request(run)
    change_policy(stage, without_tier_3)
    assert renew(stage, run).state == RunState.SUCCEEDED
    assert state(asked, stage) == ApprovalState.SUPERSEDED
    assert len(bank.effects) == 2


def test_a_change_that_the_policy_before_asked_for_takes_no_signature(stage: Stage) -> None:
    now, place = datetime.now(UTC), stage.workspace_id
    text = selectors.active_policy(place).text + "\n// mine\n"
    version = policies.policy_draft(workspace_id=place, author=stage.cast.actor("carol"), text=text)
    mine = policies.policy_submit(
        workspace_id=place,
        version_id=version.id,  # type: ignore[union-attr]
        submitter=stage.cast.actor("carol"),
        now=now,
    )
    assert isinstance(mine, ApprovalRequest)
    change_policy(stage, lambda text: text + "\n// theirs\n")
    assert policies.approvals_renew(now=now) == 1
    assert state(mine, stage) == ApprovalState.SUPERSEDED
    assert policies.approvals_renew(now=now) == 0
