"""A run from start to end: what each kind of reply leads to."""

import pytest

from agents import services
from agents.errors import InputsInvalid, Refused
from agents.llm.errors import ModelRefused, ModelUnavailable
from agents.models import CallState, RunState, StepState
from tests.agents.runs.stage import REGISTER, Stage, program, register_signed
from tests.agents.runs.tools import bank

DONE = program("final_answer({'done': True})")


def test_a_read_and_an_answer(stage: Stage) -> None:
    run = stage.start(
        program("vendors = list_vendors()\nprint(len(vendors), 'vendors')"),
        program("final_answer({'done': [v['name'] for v in vendors]})"),
    )
    run = stage.play(run)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert run.answer == {"done": ["Kessler", "Norr"]}
    assert run.steps_taken == 2
    assert "2 vendors" in stage.steps(run)[0].observation


def test_the_log_tells_the_run_in_order(stage: Stage) -> None:
    run = stage.play(stage.start(program("print(list_vendors())"), DONE))
    assert stage.actions(run) == [
        "run.started",
        "decision.made",
        "run.claimed",
        "decision.made",
        "step.proposed",
        "decision.made",
        "sandbox.started",
        "decision.made",
        "call.succeeded",
        "step.executed",
        "step.proposed",
        "decision.made",
        "step.executed",
        "decision.made",
        "answer.released",
        "run.ended",
        "sandbox.stopped",
    ]


def test_all_processes_of_a_host_are_one_worker_in_the_log(stage: Stage) -> None:
    claimed = []
    for owner in ("blue:17:17", "blue:99:101"):
        run = stage.play(stage.start(DONE), owner=owner)
        claimed += stage.told(run, "run.claimed")
    assert {entry["actor"]["id"] for entry in claimed} == {"worker:blue"}
    assert [entry["detail"]["process"] for entry in claimed] == ["blue:17:17", "blue:99:101"]


def test_the_log_says_what_limits_held_a_program(stage: Stage) -> None:
    run = stage.play(stage.start(program("while True: pass"), DONE))
    started, stopped, again, _ = stage.told(run, "sandbox.started", "sandbox.stopped")
    assert started["detail"]["limits"]["memory_bytes"] == 512 << 20
    assert started["detail"]["runtime"] == stage.steps(run)[0].runtime
    assert started["actor"]["type"] == "system"
    assert [each["detail"]["jail"] for each in (started, stopped, again)] == [1, 1, 2]
    assert stage.steps(run)[0].status == "limit_time"


def test_inputs_are_variables_of_the_program(stage: Stage) -> None:
    run = stage.play(stage.start(program("final_answer({'done': limit + 1})"), limit=41))
    assert run.answer == {"done": 42}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [({"limit": "x"}, "limit"), ({"other": 1}, "other"), ({"limit": None}, "limit")],
)
def test_inputs_that_do_not_fit_are_refused(
    stage: Stage, inputs: dict[str, object], says: str
) -> None:
    with pytest.raises(InputsInvalid, match=says):
        stage.start(**inputs)


def test_a_reply_without_a_program_teaches_the_model_the_form(stage: Stage) -> None:
    run = stage.play(stage.start("I would rather talk about the weather.", DONE))
    assert run.state == RunState.SUCCEEDED
    step = stage.steps(run)[0]
    assert step.state == StepState.UNPARSED
    assert "<code>" in step.observation


def test_a_refused_program_does_not_run_and_the_agent_is_told_the_rule(stage: Stage) -> None:
    run = stage.play(stage.start(program("import socket\nprint(socket.gethostname())"), DONE))
    step = stage.steps(run)[0]
    assert step.state == StepState.DENIED
    assert step.status == ""
    assert "rule" in step.observation
    assert "- line 1: the import of socket, which is not on the allowed list" in step.observation
    assert run.state == RunState.SUCCEEDED


def test_an_error_comes_back_with_line_and_output_so_far(stage: Stage) -> None:
    run = stage.play(stage.start(program("x = 1\nprint('so far')\nx / 0"), DONE))
    told = stage.steps(run)[0].observation
    assert "so far" in told
    assert "line 3" in told
    assert "ZeroDivisionError" in told


def test_variables_survive_an_error_and_a_refused_step(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("kept = 7\nraise ValueError('no')"),
            program("import subprocess"),
            program("final_answer({'done': kept})"),
        )
    )
    assert run.answer == {"done": 7}


def test_a_step_ended_by_a_limit_leaves_the_variables_as_before(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("kept = 1"),
            program("kept = 2\nwhile True:\n    kept += 1"),
            program("final_answer({'done': kept})"),
        )
    )
    assert stage.steps(run)[1].status == "limit_time"
    assert run.answer == {"done": 1}


def test_a_write_the_policy_allows_happens_once_with_intent_and_outcome(stage: Stage) -> None:
    run = stage.play(stage.start(program("print(note_down(text='hello'))"), DONE))
    assert bank.effects == [("note_down", {"text": "hello"})]
    actions = stage.actions(run)
    assert actions.index("call.intended") < actions.index("call.succeeded")


def test_a_tool_that_fails_raises_in_the_program(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("try:\n    list_vendors(1)\nexcept TypeError as e:\n    print('refused', e)"),
            DONE,
        )
    )
    assert "refused" in stage.steps(run)[0].observation


def test_an_answer_that_fails_a_check_goes_back_to_the_agent(stage: Stage) -> None:
    run = stage.play(stage.start(program("x = 5\nfinal_answer('nothing')"), DONE))
    assert "says what was done" in stage.steps(run)[0].observation
    assert run.state == RunState.SUCCEEDED
    assert "answer.refused" in stage.actions(run)


def test_the_answer_ends_the_program_and_cannot_be_swallowed(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "try:\n    final_answer({'done': 1})\nexcept BaseException:\n    pass\n"
                "note_down(text='after the end')"
            )
        )
    )
    assert run.answer == {"done": 1}
    assert bank.effects == []


def test_the_step_limit_ends_the_run_by_name(stage: Stage) -> None:
    run = stage.play(stage.start(*[program("x = 1")] * 20))
    assert run.state == RunState.FAILED
    assert "step limit" in run.reason
    assert run.steps_taken == 12


def test_an_unavailable_model_lets_the_run_wait_and_nothing_is_lost(stage: Stage) -> None:
    run = stage.start(program("x = 3"), ModelUnavailable("busy", retry_after_s=60))
    run = stage.play(run)
    assert run.state == RunState.QUEUED
    assert run.wake_at is not None
    assert "busy" in run.reason
    assert run.steps_taken == 1


def test_a_model_that_refuses_ends_the_run_with_its_reason(stage: Stage) -> None:
    run = stage.play(stage.start(ModelRefused("the key is wrong")))
    assert run.state == RunState.FAILED
    assert "the key is wrong" in run.reason


def test_the_same_key_gives_the_same_run_and_another_request_is_refused(stage: Stage) -> None:
    def start(goal: str) -> services.Started:
        return services.run_start(
            workspace_id=stage.workspace_id,
            agent="Teller",
            requester=stage.cast.actor("alice"),
            goal=goal,
            idempotency_key="k-1",
        )

    first, again = start("one"), start("one")
    assert (first.repeated, again.repeated) == (False, True)
    assert first.run.id == again.run.id
    with pytest.raises(Refused, match="Idempotency-Key"):
        start("two")


def test_a_repeated_request_finds_its_run_after_the_agent_changed(stage: Stage) -> None:
    def start() -> services.Started:
        return services.run_start(
            workspace_id=stage.workspace_id,
            agent="Teller",
            requester=stage.cast.actor("alice"),
            idempotency_key="k-2",
        )

    first = start()
    changed = REGISTER.replace("goal: Pay the vendors.", "goal: Pay nobody.")
    register_signed(stage.cast, changed)
    assert start().run.id == first.run.id


def test_a_stopped_run_goes_nowhere(stage: Stage) -> None:
    run = stage.start(program("x = 1"))
    services.run_cancel(
        workspace_id=stage.workspace_id, run_id=run.id, actor=stage.cast.actor("alice")
    )
    run = stage.play(run)
    assert run.state == RunState.CANCELLED
    assert run.steps_taken == 0
    assert stage.actions(run)[-1] == "run.cancelled"


def test_usage_and_cost_are_counted(stage: Stage) -> None:
    run = stage.play(stage.start(program("x = 1"), DONE))
    assert (run.input_tokens, run.output_tokens) == (20, 10)


def test_a_call_that_policy_denies_raises_and_is_recorded(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("note = read_note(vendor='V-1')"),
            program("account = note[-30:-26]\nprint(pay(account=account, amount_cents=5))"),
            DONE,
        )
    )
    assert bank.effects == []
    assert stage.steps(run)[1].state == StepState.DENIED or any(
        call.state == CallState.FAILED for call in stage.calls(run)
    )
