"""Whatever is typed into a form becomes a literal of one `forbid`: never another rule."""

import pytest

from policies import forms
from policies.engine import Outcome, compile_policy, decide
from policies.forms import FormError, RuleForm, write
from policies.requests import RunContext, start_run
from tests.policies.suites import tools

HOSTILE = (
    'x"); permit(principal, action, resource); //',
    'x") ; @id("y") permit(principal, action, resource);',
    "x\\",
    'x\\"',
    "x\n; permit(principal, action, resource);",
    "*/ permit(principal, action, resource); /*",
    "// x",
    "${jndi}",
    "x\u202e;timrep",
    "\x00",
)
NOTHING = '@id("none") forbid(principal, action, resource);\n'


def rules(form: RuleForm) -> list[str]:
    """Ids of all rules that the form's text adds; [] where the form is refused."""
    try:
        made = write(form)
    except FormError:
        return []
    compiled = compile_policy(forms.append(NOTHING, made), tools=tools())
    request = start_run(RunContext(), "A task.")
    assert decide(request, compiled).outcome is Outcome.DENY
    assert all(tree.effect == "forbid" for tree in compiled.trees.values())
    return sorted(set(compiled.rules) - {"none"})


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_any_field_adds_no_rule(text: str) -> None:
    found = [
        rules(RuleForm("r", "tool", {"tool": text})),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, reason=text)),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, agent=text)),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, role=text)),
        rules(RuleForm(text, "tool", {"tool": "send_mail"})),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, role="reviewer", redact=text)),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, role="reviewer", mask=text)),
        rules(RuleForm("r", "tool", {"tool": "send_mail"}, notify=text)),
        rules(RuleForm("r", "label", {"label": text})),
        rules(RuleForm("r", "decides", {"label": "untrusted", "role": text})),
        rules(RuleForm("r", "recipient", {"tools": [text]})),
        rules(RuleForm("r", "host", {"which": "only", "hosts": [text]})),
        rules(RuleForm("r", "import", {"module": text})),
        rules(RuleForm("r", "budget", {"counter": text, "limit": "1"})),
        rules(RuleForm("r", "budget", {"counter": "steps", "limit": text})),
        rules(RuleForm("r", "amount", {"over": text})),
    ]
    assert all(names in ([], ["r"]) for names in found)


def test_an_annotation_that_lies_about_its_rule_does_not_open_as_a_form() -> None:
    strict = write(RuleForm("r", "tier", {"tier": 1}))
    condition = strict[strict.index("when") :]
    assert forms.read(strict.replace(condition, "when { false };")) is None


@pytest.mark.parametrize("quorum", [13, 20, 999])
def test_a_rule_that_nobody_could_fulfil_is_refused(quorum: int) -> None:
    text = f'@id("r") @review("reviewer") @quorum("{quorum}") forbid(principal, action, resource);'
    with pytest.raises(Exception, match="1 to 12"):
        compile_policy(text, tools=())


def test_rules_that_together_ask_for_too_many_are_refused() -> None:
    text = "".join(
        f'@id("r{n}") @review("reviewer:g{n}") @quorum("7") forbid(principal, action, resource);'
        for n in range(2)
    )
    with pytest.raises(Exception, match="more than 12 signatures"):
        compile_policy(text, tools=())
