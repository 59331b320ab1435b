"""Threat: a password, key or number of a person goes to a model that may not have it.

Nobody labelled the letters of these tests, so nothing but what they hold can stop them. A run
whose prompt may not be sent ends before the model is asked; the model's stand-in counts how often
it was. What the starter policy does not stop: what is encoded or spelled out, account numbers,
mail addresses and phone numbers (by form), and anything for a model registered to take it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace

import pytest
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from agents import gate, loop, services
from agents.conversation import messages
from agents.models import Run, RunState
from agents.registry import register
from agents.session import Session, open_session
from agents.worker import leases
from audit.models import Entry
from audit.services import Actor
from audit.transactions import in_workspace
from policies import forms
from policies.engine import Outcome
from policies.facts.sensitive import MAX_TEXT, PERSONAL_KINDS, SECRET_KINDS, UNREAD
from policies.forms import RuleForm, write
from policies.models import DecisionRecord
from tests.agents.runs.stage import Replies, Stage, program
from tests.attacks.prompt_tools import CARD, KEY, PERSON
from tests.attacks.test_run_bypasses import change_policy
from tests.countersign.accounts.cast import cast_on_stage
from tests.harness.server import Server

REGISTER = """
models:
  scripted:
    base_url: http://127.0.0.1:9/v1
    model: scripted-test
    labels: [untrusted, confidential]
  cleared:
    base_url: http://127.0.0.1:9/v1
    model: scripted-test
    labels: [untrusted, confidential, personal, secret]
tools:
  letter: tests.attacks.prompt_tools:letter
agents:
  Clerk:
    instructions: Read the letters.
    model: scripted
    tools: [letter]
    imports: [json]
    limits: {steps: 12, step_cpu_s: 3}
  Cleared clerk:
    instructions: Read the letters.
    model: cleared
    tools: [letter]
    imports: [json]
    limits: {steps: 12, step_cpu_s: 3}
"""
GOAL = "Read the letters."
DONE = program("final_answer('done')")
MAILS = RuleForm("no-mail-address", "prompt", {"found": ["email"]})


def reading(name: str) -> str:
    return program(f"print(letter({name!r}))")


@pytest.fixture
def stage(
    database_server: Server, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[Stage]:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.attacks.prompt_tools"]
    with cast_on_stage(database_server, django_db_blocker) as cast:
        system = Actor("system", "test", "the test")
        register(workspace_id=cast.acme.id, text=REGISTER, actor=system)
        yield Stage(cast)


def begun(stage: Stage, *replies: str, goal: str = GOAL, agent: str = "Clerk") -> Run:
    stage.model = Replies(replies)
    return services.run_start(
        workspace_id=stage.workspace_id,
        agent=agent,
        requester=stage.cast.actor("alice"),
        goal=goal,
    ).run


@contextmanager
def taken(stage: Stage, run: Run, turns: int) -> Iterator[Session]:
    """The run in a worker's hands after so many turns."""
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker-1")
    assert lease is not None
    session = open_session(lease)
    try:
        for _ in range(turns):
            assert loop.turn(session, stage.model)
        yield session
    finally:
        session.drop_jail()


@pytest.mark.parametrize("name", ["key", "hidden key", "broken key"])
def test_a_tools_result_with_a_key_goes_back_to_no_model(stage: Stage, name: str) -> None:
    run = stage.play(begun(stage, reading("quiet"), reading(name), DONE))
    assert run.state == RunState.DENIED
    assert len(stage.model.asked) == 2
    assert run.reason == (
        "Denied: The prompt contains what looks like a password or key."
        " Found in the result of step 2 (AWS Access Key)."
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("card", "payment card numbers"),
        ("hidden card", "payment card numbers"),
        ("person", "identity numbers of persons"),
    ],
)
def test_a_persons_number_goes_to_no_model_that_takes_none(
    stage: Stage, name: str, kind: str
) -> None:
    run = stage.play(begun(stage, reading(name), DONE))
    assert run.state == RunState.DENIED
    assert len(stage.model.asked) == 1
    assert run.reason.endswith(f"Found in the result of step 1 ({kind}).")


@pytest.mark.parametrize("name", ["card", "person", "key"])
def test_a_model_registered_for_it_is_asked(stage: Stage, name: str) -> None:
    run = stage.play(begun(stage, reading(name), DONE, agent="Cleared clerk"))
    assert run.state == RunState.SUCCEEDED
    assert len(stage.model.asked) == 2


def test_the_task_itself_is_read(stage: Stage) -> None:
    run = stage.play(begun(stage, DONE, goal=f"Charge {CARD}."))
    assert run.state == RunState.DENIED
    assert stage.model.asked == []
    assert run.reason.endswith("Found in the task (payment card numbers).")


def test_the_models_own_words_are_read_before_they_go_back(stage: Stage) -> None:
    run = stage.play(begun(stage, f"I keep {KEY} in mind.\n" + reading("quiet"), DONE))
    assert run.state == RunState.DENIED
    assert run.reason.endswith("Found in the reply of step 1 (AWS Access Key).")


def test_what_several_messages_hold_is_found_in_each(stage: Stage) -> None:
    change_policy(stage, lambda text: forms.append(text, write(replace(MAILS, shadow=True))))
    goal = "Write to bob@corp.example."
    run = stage.play(begun(stage, reading("mail"), reading("card"), reading("key"), goal=goal))
    assert run.state == RunState.DENIED
    assert len(stage.model.asked) == 2
    [last] = [e["detail"] for e in stage.told(run, "decision.made")[-1:]]
    assert [(row["message"], row["step"], row["kind"]) for row in last["prompt"]] == [
        ("task", 0, "email"),
        ("result", 1, "email"),
        ("result", 2, "card"),
    ]
    assert last["shadow"] == ["no-mail-address"]


def test_a_new_kind_in_the_prompt_is_decided_anew(stage: Stage) -> None:
    """A clearance that stood for a quiet prompt is not one for the next."""
    change_policy(stage, lambda text: forms.append(text, write(MAILS)))
    run = stage.play(begun(stage, reading("quiet"), reading("mail"), DONE))
    assert run.state == RunState.DENIED
    assert len(stage.model.asked) == 2


def test_what_was_cut_out_of_the_conversation_still_counts(stage: Stage) -> None:
    run = begun(stage, reading("quiet"), DONE)
    with taken(stage, run, 1) as session:
        [step] = session.steps
        step.observation = KEY
        later = [copy(step) for _ in range(60)]
        for number, other in enumerate(later, 2):
            other.number, other.observation = number, "word " * 3_000
        session.steps = [step, *later]
        session.version.endpoint.settings = {"context_tokens": 8_000, "max_output_tokens": 100}
        sent = messages.chat_request(session, cancelled=lambda: False).messages
        assert not any(KEY in message.content for message in sent)
        assert gate.decide_model(session).decision.outcome is Outcome.DENY


def test_a_worker_that_takes_the_run_up_finds_the_same(stage: Stage) -> None:
    names = ("card", "mail", "key", "quiet")
    run = begun(stage, *map(reading, names), DONE, agent="Cleared clerk")
    with taken(stage, run, len(names)) as session:
        first = gate.decide_model(session).request.context["prompt"]
    again = gate.decide_model(open_session(session.lease)).request.context["prompt"]
    assert again == first
    assert (again["secrets"], again["personal"]) == (["AWS Access Key"], ["card", "email"])


def test_all_that_a_model_is_sent_was_read(stage: Stage) -> None:
    run = begun(stage, reading("mail"), reading("quiet"), "No program.", DONE)
    with taken(stage, run, 3) as session:
        own, task = messages.opening(session)
        turns = [spoken.text for step in session.steps for spoken in messages.turn(step)]
        system, *others = messages.chat_request(session, cancelled=lambda: False).messages
        parts = [session.version.instructions, *(tool.shown for tool in session.tools.values())]
    assert [task.text, *turns] == [message.content for message in others]
    assert all(part in own.text and part in system.content for part in parts)


def test_what_is_too_long_to_be_read_goes_to_no_model(stage: Stage) -> None:
    run = begun(stage, reading("quiet"), DONE)
    with taken(stage, run, 1) as session:
        session.steps[-1].observation = "word " * (MAX_TEXT // 5 + 1)
        gated = gate.decide_model(session)
    assert gated.decision.outcome is Outcome.DENY
    prompt = gated.request.context["prompt"]
    assert set(prompt["secrets"]) == {*SECRET_KINDS, UNREAD}
    assert set(prompt["personal"]) == {*PERSONAL_KINDS, UNREAD}


def test_neither_log_nor_decision_holds_a_value(stage: Stage) -> None:
    goal = f"Charge {CARD} of {PERSON}."
    run = stage.play(begun(stage, DONE, goal=goal))
    assert run.state == RunState.DENIED
    told = json.dumps(stage.told(run, "decision.made", "run.ended"))
    with in_workspace(stage.workspace_id):
        rows = [[row.request, row.sentence] for row in DecisionRecord.objects.all()]
        assert Entry.objects.filter(action="decision.made", run_id=run.id).exists()
    for value in (CARD, PERSON):
        assert value not in told + json.dumps(rows) + run.reason
    [detail] = [
        entry["detail"]
        for entry in stage.told(run, "decision.made")
        if entry["detail"]["action"] == "use_model"
    ]
    assert detail["prompt"] == [
        {"message": "task", "step": 0, "family": "personal", "kind": kind, "count": 1}
        for kind in ("card", "person")
    ]


def test_a_signature_that_a_rule_asks_for_ends_the_run_and_says_so(stage: Stage) -> None:
    rule = (
        '@id("ask") @review("reviewer") @quorum("1")\n'
        'forbid(principal, action == Action::"use_model", resource)\n'
        'when { context.prompt.personal.contains("email") };'
    )
    change_policy(stage, lambda text: forms.append(text, rule))
    run = stage.play(begun(stage, reading("mail"), DONE))
    assert run.state == RunState.DENIED
    assert len(stage.model.asked) == 1
    assert run.reason.startswith("Needs a countersignature: ")
    assert "Found in the result of step 1 (mail addresses)." in run.reason
    assert run.reason.endswith("Nobody can sign for what goes to a model, so the run has ended.")
