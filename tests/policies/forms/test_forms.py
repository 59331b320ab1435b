"""Rules by form: their text, their sentence, and back into the form."""

from dataclasses import replace
from typing import Any

import pytest

from policies import forms
from policies.engine import compile_policy
from policies.forms import FormError, RuleForm, read, write
from policies.forms.text import remove, set_shadow
from policies.pieces import find, pieces
from policies.sentences import obligation
from policies.starter import starter_text
from policies.vocabulary import PERSONAL
from tests.policies.suites import tools

FINANCE: dict[str, Any] = {"role": "reviewer:finance", "quorum": 2}
EXAMPLES = [
    (
        RuleForm("r1", "tool", {"tool": "send_mail"}, **FINANCE),
        "Ask two finance reviewers to countersign a call of send_mail.",
    ),
    (
        RuleForm("r2", "tier", {"tier": "3"}, agent="Accounts payable"),
        "Never allow a tool call by the agent Accounts payable when the tool writes and"
        " the tool is of risk tier 3 or higher.",
    ),
    (
        RuleForm("r3", "amount", {"over": "10,000", "tool": "pay"}, **FINANCE),
        "Ask two finance reviewers to countersign a call of pay when the amount is more than"
        " 10,000.00 or the amount is not known.",
    ),
    (
        RuleForm("r4", "label", {"label": "personal", "tool": "send_mail"}),
        "Never allow a call of send_mail when its arguments contain personal data.",
    ),
    (
        RuleForm("r5", "decides", {"label": "untrusted", "role": "amount"}),
        "Never allow a tool call when the tool writes and either untrusted data decides the"
        " amount or untrusted data has a say in the amount.",
    ),
    (
        RuleForm("r6", "recipient", {"tools": "get_vendors\nlookup"}),
        "Never allow a tool call when the tool writes and it has an argument that is a recipient"
        " and either the recipient comes from elsewhere than the task or a tool or the recipient"
        " comes from another tool than get_vendors or lookup.",
    ),
    (
        RuleForm("r7", "after", {"label": "personal"}, shadow=True),
        "Never allow a tool call when the tool lets data out and personal data was read before it.",
    ),
    (
        RuleForm("r8", "trio", {"untrusted": "untrusted", "sensitive": ["confidential", "health"]}),
        "Never allow a tool call when the tool lets data out and untrusted data was read before it"
        " and its arguments contain confidential or health data.",
    ),
    (
        RuleForm("r9", "host", {"which": "only", "hosts": "Example.org\n a.b "}),
        "Never allow a tool call when its arguments name a host other than a.b or example.org.",
    ),
    (
        RuleForm("r10", "budget", {"counter": "cost_micros", "limit": 5_000_000}),
        "Never allow sending what was read to a model when the run has cost at least 5.00.",
    ),
    (
        RuleForm("r10b", "budget", {"counter": "today.recipients", "limit": 20}, role="reviewer"),
        "Ask one reviewer to countersign a tool call when the tool writes and the agent has"
        " reached at least 20 recipients today.",
    ),
    (
        RuleForm("r11", "hours", {"begin": 6, "end": 18, "days": "workdays"}),
        "Never allow a tool call when the tool writes and either it is before 6:00 UTC or it is"
        " after 18:00 UTC or it is a weekend.",
    ),
    (
        RuleForm("r12", "first", {}, role="reviewer"),
        "Ask one reviewer to countersign a tool call when the tool writes and this version of the"
        " agent uses the tool for the first time.",
    ),
    (
        RuleForm("r13", "feature", {"feature": "endless"}, role="reviewer"),
        "Ask one reviewer to countersign a program when it has a loop without an end in sight.",
    ),
    (
        RuleForm("r14", "import", {"module": "re"}, shadow=True),
        "Never allow a program when it imports re.",
    ),
    (
        RuleForm("r15", "prompt", {"found": ["secrets"]}),
        "Never allow sending what was read to a model when it contains what looks like a password"
        " or key.",
    ),
    (
        RuleForm("r16", "prompt", {"found": ["iban", "card"], "label": "personal"}, shadow=True),
        "Never allow sending what was read to a model when it contains payment card numbers or"
        " IBAN account numbers and the model may not be sent personal data.",
    ),
    (
        RuleForm("r17", "prompt", {"found": ["secrets", *PERSONAL]}, agent="Accounts payable"),
        "Never allow sending what was read to a model by the agent Accounts payable when it"
        " contains what looks like a password or key or it contains personal data.",
    ),
    (
        RuleForm("r1c", "tool", {"tool": "send_mail"}, **FINANCE, code=True),
        "Ask two finance reviewers, each with a code of their authenticator, to countersign a call"
        " of send_mail.",
    ),
]


@pytest.mark.parametrize(("form", "sentence"), EXAMPLES, ids=[f.kind for f, _ in EXAMPLES])
def test_a_form_makes_a_rule_with_its_sentence_and_opens_again(
    form: RuleForm, sentence: str
) -> None:
    made = write(form)
    compiled = compile_policy(forms.append(starter_text(), made), tools=tools())
    assert compiled.rules[form.id].sentence == sentence
    assert compiled.rules[form.id].shadow == form.shadow
    again = read(made)
    assert again is not None
    assert write(again) == made


HIDDEN = RuleForm("h", "tool", {"tool": "send_mail"}, redact="iban", mask="body", **FINANCE)
TOLD = RuleForm("t", "feature", {"feature": "endless"}, notify="reviewer:treasury", shadow=True)


@pytest.mark.parametrize(
    ("form", "obligations"),
    [
        (HIDDEN, ("redact:iban", "mask:body")),
        (TOLD, ("notify:reviewer:treasury",)),
        (
            RuleForm("d", "tool", {"tool": "pay"}, notify="policy_officer"),
            ("notify:policy_officer",),
        ),
        (replace(HIDDEN, shadow=True), ("redact:iban", "mask:body")),
    ],
)
def test_a_form_obliges_to_more_than_its_outcome(
    form: RuleForm, obligations: tuple[str, ...]
) -> None:
    made = write(form)
    rule = compile_policy(forms.append(starter_text(), made), tools=tools()).rules[form.id]
    assert rule.obligations == obligations
    again = read(made)
    assert again is not None
    assert (again.redact, again.mask, again.notify) == (form.redact, form.mask, form.notify)
    assert write(again) == made


def test_what_follows_beside_the_outcome_has_a_sentence() -> None:
    assert [obligation(each) for each in ("redact:iban", "mask:body")] == [
        "The field iban of what the tool answers is withheld from program and model.",
        "The argument body is hidden in console and API until whoever reads opens it.",
    ]
    assert obligation("notify:reviewer:treasury") == "Treasury reviewers are told by mail."
    assert obligation("notify:policy_officer") == "Policy officers are told by mail."


def test_an_amount_is_one_in_whatever_unit() -> None:
    rules = compile_policy(starter_text(), tools=tools()).rules
    told = rules["amount-or-place-from-untrusted"].sentence
    assert told.endswith("and it has an argument that is an amount)).")


def test_every_kind_has_an_example_here() -> None:
    assert {form.kind for form, _ in EXAMPLES} == set(forms.KINDS)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (RuleForm("Bad Name", "tool", {"tool": "x"}), "Name"),
        (RuleForm("r", "tool", {}), "Tool: this must be filled in"),
        (RuleForm("r", "tier", {"tier": 5}), "0 to 4"),
        (RuleForm("r", "amount", {"over": "1.234"}), "two digits"),
        (RuleForm("r", "amount", {"over": "NaN"}), "from 0 up"),
        (RuleForm("r", "hours", {"begin": 6, "end": 6, "days": "all"}), "another hour"),
        (RuleForm("r", "host", {"which": "only", "hosts": "a b"}), "cannot be one"),
        (RuleForm("r", "tool", {"tool": "x"}, role="admin"), "Who signs"),
        (RuleForm("r", "tool", {"tool": "x"}, role="reviewer", quorum=13), "from 1 to 12"),
        (RuleForm("r", "nothing", {}), "no such kind"),
        (RuleForm("r", "tool", {"tool": "x"}, reason="a\nb"), "Reason"),
        (RuleForm("r", "tool", {"tool": "x"}, mask="iban"), "Mask: choose that it waits"),
        (RuleForm("r", "tool", {"tool": "x"}, redact="iban"), "Withhold: choose that it waits"),
        (RuleForm("r", "tool", {"tool": "x"}, redact="a b", role="reviewer"), "Withhold: one name"),
        (RuleForm("r", "import", {"module": "re"}, mask="a", role="reviewer"), "only calls"),
        (RuleForm("r", "tool", {"tool": "x"}, notify="admin"), "Tell by mail"),
        (RuleForm("r", "prompt", {"found": []}), "The prompt has: this must be filled in"),
        (RuleForm("r", "prompt", {"found": ["iris scan"]}), "The prompt has: choose from"),
        (RuleForm("r", "prompt", {"found": ["secrets"]}, role="reviewer"), "waits for nobody"),
        (
            RuleForm("r", "budget", {"counter": "tokens", "limit": 9}, role="reviewer"),
            "waits for nobody",
        ),
    ],
)
def test_a_form_that_makes_no_rule_says_why(form: RuleForm, told: str) -> None:
    with pytest.raises(FormError, match=told):
        write(form)


def test_a_rule_edited_by_hand_is_cedar_only() -> None:
    made = write(EXAMPLES[2][0])
    assert read(made.replace("1000000", "9000000")) is None
    assert read(made.replace("@review", "@shadow @review")) is None
    assert read('@id("x") forbid(principal, action, resource);') is None


def test_rules_are_put_in_replaced_and_taken_out_without_touching_the_rest() -> None:
    text = starter_text()
    with_rule = forms.append(text, write(EXAMPLES[0][0]))
    assert [p.id for p in pieces(with_rule)] == [*[p.id for p in pieces(text)], "r1"]
    changed = write(replace(EXAMPLES[0][0], quorum=1))
    found = find(forms.replace(with_rule, "r1", changed), "r1")
    assert found is not None
    assert found.text == changed
    assert remove(with_rule, "r1").strip() == text.strip()
    with pytest.raises(KeyError):
        remove(text, "r1")


def test_a_rule_in_a_comment_or_a_string_is_not_a_rule() -> None:
    text = (
        '// @id("no") forbid(principal, action, resource);\n'
        '@id("yes") @reason("a; @id(\\"no\\") // x") forbid(principal, action, resource);'
    )
    assert [(p.id, p.line) for p in pieces(text)] == [("yes", 2)]


def test_shadow_goes_on_and_off_again() -> None:
    text = starter_text()
    shadowed = set_shadow(text, "tier-2", shadow=True)
    assert compile_policy(shadowed, tools=()).rules["tier-2"].shadow
    assert set_shadow(shadowed, "tier-2", shadow=False) == text
