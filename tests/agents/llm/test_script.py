import pytest

from agents.llm.chat import Message, Role
from agents.llm.script import Script, ScriptError, parse_script

BASE = """
model: scripted-test
tasks:
  - when: {task: [invoice, /week \\d+/]}
    turns:
      - when: {last: rejected}
        reply: without the second one
      - reply: first
      - when: {last: "/total: (\\\\d+)/"}
        capture: {total: "/total: (\\\\d+)/"}
        reply: it is ${total}, not $5
      - when: {seen: never, not: {replies: 0}}
        reply: never
      - reply: second
      - when: {replies: 9}
        repeat: true
        reply: again
  - turns:
      - reply: any other task
"""


@pytest.fixture(name="script")
def _script() -> Script:
    return parse_script(BASE)


def talk(task: str, *turns: str) -> list[Message]:
    messages = [Message(Role.SYSTEM, "s"), Message(Role.USER, task)]
    for place, text in enumerate(turns):
        messages.append(Message((Role.ASSISTANT, Role.USER)[place % 2], text))
    return messages


def said(script: Script, *turns: str, task: str = "invoices of week 47") -> str | None:
    found = script.next_turn(talk(task, *turns))
    return None if found is None else found[1]


def test_plain_turns_follow_each_other(script: Script) -> None:
    assert said(script) == "first"
    assert said(script, "first", "ok") == "second"
    assert said(script, "first", "ok", "second", "ok") is None


def test_a_conditional_turn_steps_in_and_shifts_nothing(script: Script) -> None:
    assert said(script, "first", "rejected: duplicate") == "without the second one"
    assert said(script, "first", "rejected", "without the second one", "ok") == "second"
    assert said(script, "first", "rejected", "without the second one", "rejected") == "second"


def test_a_reply_can_repeat_what_was_observed(script: Script) -> None:
    assert said(script, "first", "total: 12") == "it is 12, not $5"
    assert said(script, "first", "total: 12", "it is 12, not $5", "total: 12") == "second"


def test_tasks_are_told_apart(script: Script) -> None:
    assert said(script, task="something else") == "any other task"
    assert said(script, task="invoice without a week") == "any other task"


def test_a_reply_cut_at_a_stop_sequence_is_still_known(script: Script) -> None:
    assert said(script, "fir", "ok") == "second"


def test_the_reply_depends_on_the_messages_alone(script: Script) -> None:
    messages = talk("invoices of week 47", "first", "ok")
    assert script.next_turn(messages) == parse_script(BASE).next_turn(list(messages))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model: gpt-4\nturns: [{reply: a}]", "model"),
        ("model: scripted\nturns: []", "turns"),
        ("model: scripted", "either"),
        ("model: scripted\nturns: [{replay: a}]", "replay"),
        ("model: scripted\nturns: [{reply: a, fault: {kind: explode}}]", "kind"),
        ("model: scripted\nturns: [{reply: a, when: {last: '/(/'}}]", "regular expression"),
        ("model: scripted\nturns: [{reply: a, when: {later: a}}]", "later"),
        ("model: scripted\nturns: [{reply: 7}]", "reply"),
        ("[", "YAML"),
        ("- a", "mapping"),
    ],
)
def test_a_faulty_script_says_where(text: str, place: str) -> None:
    with pytest.raises(ScriptError, match=place):
        parse_script(text)
