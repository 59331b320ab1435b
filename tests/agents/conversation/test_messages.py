"""The conversation: rebuilt, bounded, each program once."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import prompts
from agents.conversation.messages import (
    Briefing,
    Conversation,
    StepRecord,
    Task,
    framed,
    messages,
)
from agents.llm.chat import Role, estimate_messages
from agents.tools.stubs import render
from tests.agents.tools import samples

BRIEFING = Briefing(
    agent="Accounts payable",
    instructions="Pay nobody twice.",
    stubs=(render(samples.list_invoices), render(samples.pay)),
    imports=("decimal", "math"),
    max_steps=12,
)
TASK = Task("Match the week's invoices.", {"week": "2026-W47"}, ("The answer has a total.",))


def step(number: int, observation: str = "Printed:\n1", extra: str = "") -> StepRecord:
    code = f"value_{number} = {number}\nprint(value_{number}){extra}"
    reply = f"<think>secret plan</think>Step {number}.\n<code>\n{code}\n</code>"
    return StepRecord(number, reply, code, observation)


def build(steps: list[StepRecord], budget: int = 100_000) -> Conversation:
    return messages(BRIEFING, TASK, steps, budget_tokens=budget)


def text(conversation: Conversation) -> str:
    return "\n".join(message.content for message in conversation.messages)


def test_it_opens_with_prompt_and_task() -> None:
    opening = build([])
    system, task = opening.messages
    assert (system.role, task.role) == (Role.SYSTEM, Role.USER)
    for wanted in (
        "Accounts payable",
        "Pay nobody twice.",
        "def list_invoices(",
        "`decimal`",
        "12 steps",
        "def final_answer(",
    ):
        assert wanted in system.content
    assert task.content == (
        "<task>\nMatch the week's invoices.\n</task>\n\n<inputs>\n"
        'These variables are set for your first program:\nweek = "2026-W47"\n</inputs>\n\n'
        "Your answer is accepted only if:\n- The answer has a total."
    )
    assert "{{" not in text(opening)


def test_each_program_stands_in_it_once_and_thinking_never() -> None:
    said = text(build([step(1), step(2)]))
    assert said.count("value_1 = 1") == said.count("value_2 = 2") == 1
    assert "secret plan" not in said


def test_roles_alternate_and_observations_are_framed() -> None:
    said = build([step(1), step(2)]).messages
    assert [message.role for message in said[2:]] == [Role.ASSISTANT, Role.USER] * 2
    assert said[3].content == '<observation step="1">\nPrinted:\n1\n</observation>'


def test_the_same_steps_give_the_same_conversation() -> None:
    steps = [step(n, "x" * 3_000) for n in range(1, 9)]
    assert build(steps, 6_000) == build([dataclasses.replace(s) for s in steps], 6_000)


def test_an_empty_or_endless_reply_is_kept_short() -> None:
    said = build([StepRecord(1, "", "", "empty"), StepRecord(2, "word " * 40_000, "", "no code")])
    assert said.messages[2].content == "(an empty reply)"
    assert len(said.messages[4].content) <= 4_000
    assert "left out here" in said.messages[4].content


def test_older_observations_are_shortened_first_and_the_cut_is_named() -> None:
    whole = build([step(n, f"row {n} " * 1_000) for n in range(1, 6)])
    less = build([step(n, f"row {n} " * 1_000) for n in range(1, 6)], whole.tokens - 1_000)
    assert less.shortened == (1,)
    assert less.left_out == ()
    assert "left out here" in less.messages[3].content
    assert less.messages[-1].content == whole.messages[-1].content


def test_then_older_steps_are_left_out_with_the_names_they_set() -> None:
    steps = [step(n, f"row {n} " * 1_000, extra="\n# " + "x" * 2_000) for n in range(1, 9)]
    short = build(steps, build([]).tokens + 5_000)
    assert short.left_out[0] == 1
    assert 8 not in short.left_out
    assert short.fits
    assert "Steps 1 to" in short.messages[1].content
    assert "value_1, value_2" in short.messages[1].content


def test_a_huge_last_observation_is_cut_to_fit() -> None:
    short = build([step(1, "é" * 300_000)], build([]).tokens + 3_000)
    assert short.fits
    assert short.shortened == (1,)


def test_what_cannot_fit_says_so() -> None:
    assert not build([step(1)], 100).fits


def test_a_prompt_set_is_known_by_its_content() -> None:
    first = prompts.load()
    changed = prompts.PromptSet("code", {**first.texts, "task": "{{goal}}"}, "")
    assert first.digest == build([]).prompt_digest
    assert prompts._digest(changed.texts) != first.digest  # the version is the content


@pytest.mark.parametrize("values", [{}, {"goal": "x", "inputs": "", "checks": "", "more": ""}])
def test_places_and_values_must_agree(values: dict[str, str]) -> None:
    with pytest.raises(prompts.PromptError):
        prompts.load().fill("task", values)


def test_unknown_prompts_are_refused() -> None:
    for name in ("../llm", "nothing", ""):
        with pytest.raises(prompts.PromptError):
            prompts.load(name)


def test_values_cannot_pull_in_other_values() -> None:
    task = Task("{{checks}} {{inputs}}", {"a": "{{goal}}"})
    said = messages(BRIEFING, task, [], budget_tokens=100_000).messages[1].content
    assert "{{checks}} {{inputs}}" in said


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=400), max_size=12),
    st.integers(0, 6_000),
)
def test_any_history_fits_or_says_not(observations: list[str], extra: int) -> None:
    steps = [step(n, told * 20) for n, told in enumerate(observations, 1)]
    budget = build([]).tokens + extra
    said = build(steps, budget)
    assert said.tokens == estimate_messages(said.messages)
    assert said.fits == (said.tokens <= budget)
    kept = [n for n in range(1, len(steps) + 1) if n not in said.left_out]
    assert len(said.messages) == 2 + 2 * len(kept)
    assert not steps or kept[-1] == len(steps)


@given(st.text(max_size=200))
def test_framing_changes_nothing_without_a_frame_tag(data: str) -> None:
    if not {"<", "\uff1c", "["} & {*data}:
        assert framed(data) == data
