"""A rule about a label or a tool that does not exist is told, since it would never hold."""

from policies.engine import compile_policy
from policies.starter import starter_text
from policies.strangers import strangers
from tests.policies.engine.strategies import TOOLS

CALL = 'forbid(principal, action in Action::"call", resource)'


def told(rule: str) -> list[str]:
    text = f'@id("p") permit(principal, action, resource);\n@id("r") {rule};'
    return strangers(compile_policy(text, tools=TOOLS))


def test_the_starter_policy_speaks_of_nothing_strange() -> None:
    assert strangers(compile_policy(starter_text(), tools=TOOLS)) == []


def test_a_misspelt_label_is_told() -> None:
    said = ["Rule r speaks of 'confidental' data, but no registered tool returns any."]
    for condition in (
        'context.call.labels.contains("confidental")',
        'resource.outward && !context.run.seen.containsAny(["confidental", "untrusted"])',
        'context.call.flows.contains("confidental -> recipient")',
        '["confidental"].containsAll(context.call.guards)',
    ):
        assert told(f"{CALL} when {{ {condition} }}") == said, condition
    assert told(f'{CALL} when {{ context.call.labels.contains("confidential") }}') == []


def test_a_tool_that_is_not_registered_is_told() -> None:
    said = ["Rule r speaks of the tool 'pai', which is not registered."]
    scoped = 'forbid(principal, action in Action::"call", resource == Tool::"pai")'
    assert told(scoped) == said
    assert told(f'{CALL} when {{ resource == Tool::"pai" }}') == said
    assert told(scoped.replace("pai", "pay")) == []
