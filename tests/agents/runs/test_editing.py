"""A reviewer's own program in place of the agent's."""

from uuid import uuid4

import pytest

from agents import services
from agents.approvals.editing import as_program
from agents.models import CallState, Run, RunState, StepState
from audit import canonical
from policies.errors import NotFound, Reason, Refusal
from policies.models import ApprovalRequest, ApprovalState
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

PAY = program("made = [pay(account=v['account'], amount_cents=1000) for v in list_vendors()]")
ANSWER = program("final_answer({'done': made})")
EDITED = "made = [pay(account='DE01', amount_cents=700)]"


def edit(stage: Stage, run: Run, who: str, code: str = EDITED, **changes: object) -> Refusal | None:
    given = {"request_id": stage.request(run).id, "reason": "Norr is not due", **changes}
    return services.approval_edit(
        workspace_id=stage.workspace_id,
        editor=stage.cast.actor(who),
        code=code,
        **given,  # type: ignore[arg-type]
    )


@pytest.fixture
def run(stage: Stage) -> Run:
    return stage.play(stage.start(PAY, ANSWER))


def test_an_edited_program_is_gated_again_and_signed_by_others(stage: Stage, run: Run) -> None:
    old = stage.request(run)
    assert edit(stage, run, "bob") is None
    run = stage.play(run)
    new = stage.request(run)
    assert run.state == RunState.AWAITING_APPROVAL
    assert (new.supersedes_id, new.binding_digest != old.binding_digest) == (old.id, True)
    assert [effect["arguments"]["amount_cents"] for effect in new.displayed["effects"]] == [700]
    assert str(stage.cast.id("bob")) in new.barred
    for name in ("beth", "rita"):
        assert stage.vote(run, name).refusal is None
    run = stage.play(run)
    assert [made["amount_cents"] for _, made in bank.effects] == [700]
    assert run.state == RunState.SUCCEEDED
    first, second = stage.steps(run)[:2]
    assert (first.state, second.code) == (StepState.REJECTED, EDITED)
    assert "wrote another program in its place" in first.observation
    assert "Norr is not due" in first.observation
    assert {
        c.state for c in stage.calls(run) if c.step_id == first.id and c.position is not None
    } == {CallState.VOID}


def test_whoever_signs_an_edit_is_told_who_wrote_it_and_what_is_otherwise(
    stage: Stage, run: Run
) -> None:
    old = stage.request(run)
    edit(stage, run, "bob")
    shown = stage.request(stage.play(run)).displayed
    assert shown["sentence"].startswith("Bob, in place of Teller, wants to pay")
    assert shown["explanation"] == ""
    said = shown["edited"]
    assert (said["editor"], said["reason"]) == ("Bob", "Norr is not due")
    assert said["request"] == str(old.id)
    assert [(row["was"], row["effect"], row["values"]) for row in said["effects"]] == [
        (1, 1, [{"name": "amount_cents", "before": "1000", "now": "700"}]),
        (
            2,
            0,
            [
                {"name": "account", "before": "SE02", "now": ""},
                {"name": "amount_cents", "before": "1000", "now": ""},
            ],
        ),
    ]


def test_what_was_told_of_an_edit_is_signed_with_the_rest(stage: Stage, run: Run) -> None:
    edit(stage, run, "bob")
    request = stage.request(stage.play(run))
    other = {**request.displayed, "edited": {**request.displayed["edited"], "editor": "Nobody"}}
    assert request.displayed_digest == canonical.digest(request.displayed)
    assert request.displayed_digest != canonical.digest(other)


def test_the_editor_signs_nothing_of_the_run_any_more(stage: Stage, run: Run) -> None:
    stage.vote(run, "bob")
    edit(stage, run, "bob")
    run = stage.play(run)
    refusal = stage.vote(run, "bob").refusal
    assert refusal is not None
    assert refusal.reason is Reason.BARRED
    stage.vote(run, "beth")
    assert stage.play(run).state == RunState.AWAITING_APPROVAL
    assert bank.effects == []


def test_the_old_request_takes_no_signature(stage: Stage, run: Run) -> None:
    old = stage.request(run)
    edit(stage, run, "bob")
    for name in ("beth", "rita"):
        refusal = stage.vote_on(old, name).refusal
        assert refusal is not None
        assert refusal.reason is Reason.STATE
    stage.play(run)
    assert bank.effects == []


def test_a_signed_request_cannot_be_edited(stage: Stage, run: Run) -> None:
    for name in ("bob", "beth"):
        stage.vote(run, name)
    refusal = edit(stage, run, "rita")
    assert refusal is not None
    assert refusal.reason is Reason.STATE


@pytest.mark.parametrize("who", ["alice", "carol", "dan", "ada", "mallory"])
def test_only_who_could_review_it_edits(stage: Stage, run: Run, who: str) -> None:
    refusal = edit(stage, run, who)
    assert refusal is not None
    assert refusal.reason is Reason.ROLE
    assert stage.actions(run)[-1] == "approval.refused"
    assert stage.steps(run)[0].edit is None


def test_an_edit_that_the_policy_denies_does_not_run(stage: Stage, run: Run) -> None:
    assert edit(stage, run, "bob", "import os\nmade = os.listdir('/')") is None
    run = stage.play(run)
    assert stage.steps(run)[1].state == StepState.DENIED
    assert bank.effects == []
    assert stage.actions(run).count("decision.made") >= 2


@pytest.mark.parametrize("code", ["", "made = [", "\x00"])
def test_what_is_no_program_is_said_to_be_none(stage: Stage, run: Run, code: str) -> None:
    refusal = edit(stage, run, "bob", code)
    assert refusal is not None
    assert refusal.reason is Reason.INCOMPLETE
    assert stage.request(run).state == ApprovalState.WAITING


def test_the_same_program_is_no_edit(stage: Stage, run: Run) -> None:
    refusal = edit(stage, run, "bob", stage.steps(run)[0].code)
    assert refusal is not None
    assert refusal.reason is Reason.INCOMPLETE


def test_a_program_that_has_begun_is_not_edited(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "first = pay(account='DE01', amount_cents=5)\n"
                "if first['amount_cents'] > 3:\n"
                "    second = pay(account='SE02', amount_cents=6)\n"
            )
        )
    )
    for name in ("bob", "beth"):
        stage.vote(run, name)
    run = stage.play(run)
    assert len(bank.effects) == 1
    refusal = edit(stage, run, "rita")
    assert refusal is not None
    assert "have happened already" in refusal.sentence


def test_a_request_of_elsewhere_is_not_found(stage: Stage, run: Run) -> None:
    for request_id, workspace_id in (
        (uuid4(), stage.workspace_id),
        (stage.request(run).id, stage.cast.other.id),
    ):
        with pytest.raises(NotFound):
            services.approval_edit(
                workspace_id=workspace_id,
                request_id=request_id,
                editor=stage.cast.actor("mallory"),
                code=EDITED,
            )


def test_effects_as_a_program_make_the_same_effects(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "paid = [pay(account=a, amount_cents=5) for a in ('DE01', 'SE\\'02')]\n"
                "said = send(recipient='a@b.example', text=f'{paid[0][\"id\"]} is {{made}}')\n"
            )
        )
    )
    before = stage.request(run)
    written = as_program(before.displayed["effects"])
    assert edit(stage, run, "bob", written) is None
    after = stage.request(stage.play(run))
    assert after.supersedes_id == before.id

    def plain(request: ApprovalRequest) -> list[object]:
        effects = request.displayed["effects"]
        places = {effect["token"]: str(index) for index, effect in enumerate(effects)}
        text = str([(effect["tool"], effect["arguments"]) for effect in effects])
        for token, place in places.items():
            text = text.replace(token, place)
        return [text]

    assert plain(before) == plain(after)
