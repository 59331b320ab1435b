"""What officers fill in: rules, policy texts, required tests. Shape only; services decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from countersign.console import words
from countersign.console.schema_forms import JSONText, Lines
from policies import cases
from policies.cases import MAX_CODE, MAX_NAME, CaseError
from policies.engine import MAX_POLICY_BYTES, MAX_QUORUM, Outcome, Requirement
from policies.facts.record import ToolSpec
from policies.forms import Field, Kind, RuleForm, Type
from policies.services.simulation import MAX_DAYS

LABELS = (
    "confidential",
    "financial",
    "health",
    "internal",
    "personal",
    "private",
    "restricted",
    "secret",
    "untrusted",
)
ROLES = ("amount", "command", "key", "path", "recipient", "url")
FINAL, REVIEW, SHADOW = "deny", "review", "shadow"
_EXPECT = [(one.value, one.value) for one in Outcome]


@dataclass(frozen=True)
class Choices:
    """What the workspace has to choose from."""

    tools: tuple[str, ...]
    labels: tuple[str, ...]
    roles: tuple[str, ...]
    agents: tuple[str, ...]
    signers: tuple[str, ...]
    arguments: tuple[str, ...] = ()


def choices(specs: Sequence[ToolSpec], agents: Sequence[str], groups: Sequence[str]) -> Choices:
    """From what is registered, with the words that the starter policy knows."""
    labels = {label for spec in specs for label in spec.labels}
    roles = {role for spec in specs for role in spec.roles.values()} - {"amount_minor"}
    return Choices(
        tuple(sorted(spec.name for spec in specs)),
        tuple(sorted(labels | set(LABELS))),
        tuple(sorted(roles | set(ROLES))),
        tuple(sorted(agents)),
        ("reviewer", *groups, "policy_officer"),
        tuple(sorted({name for spec in specs for name in spec.parameter_names})),
    )


class RuleEditForm(forms.Form):
    """One rule: the fields of its kind, what follows, and what people are told."""

    def __init__(
        self,
        kind: Kind,
        known: Choices,
        data: Mapping[str, Any] | None,
        rule: RuleForm,
        *,
        promise: bool = False,
    ) -> None:
        super().__init__(data, initial=_initial(kind, rule))
        self.kind, self.rule, self.promise = kind, rule, promise
        for each in kind.fields:
            self.fields[each.name] = _field(each, known)
        self._add_outcome(known)
        self.fields["id"] = forms.CharField(
            label="Name of the rule",
            max_length=60,
            help_text="Small letters, digits and hyphens. It stands in decisions and in the log.",
        )

    def _add_outcome(self, known: Choices) -> None:
        outcomes = [
            (FINAL, "It is refused"),
            (REVIEW, "It waits for signatures"),
            (SHADOW, "It is only recorded (a rule on trial)"),
        ]
        if self.promise:
            outcomes.pop()
        self.fields["outcome"] = forms.ChoiceField(
            label="The policy must at least say" if self.promise else "Then",
            choices=[one for one in outcomes if self.kind.signable or one[0] != REVIEW],
            widget=forms.RadioSelect,
        )
        if self.kind.signable:
            self._add_signers(known)
        self.fields["agent"] = forms.ChoiceField(
            label="Agent",
            choices=[("", "every agent"), *((name, name) for name in known.agents)],
            required=False,
        )
        if not self.promise:
            self.fields["reason"] = forms.CharField(
                label="Reason",
                max_length=300,
                required=False,
                help_text="What the agent and the reviewer are told, in your words.",
            )
            self._add_obligations(known)

    def _add_signers(self, known: Choices) -> None:
        self.fields["role"] = forms.ChoiceField(
            label="Who signs",
            choices=[(role, words.role(role)) for role in known.signers],
            help_text="Counts only where it waits for signatures.",
            required=False,
        )
        self.fields["quorum"] = forms.IntegerField(
            label="Signatures", min_value=1, max_value=MAX_QUORUM, required=False
        )
        self.fields["code"] = forms.BooleanField(
            label="They also give a code of their authenticator app",
            help_text="Beside the password. Whoever has none set up is told how, and cannot sign"
            " before.",
            required=False,
        )

    def _add_obligations(self, known: Choices) -> None:
        """What else follows; the service says which of it fits the outcome."""
        if self.kind.action({"counter": "writes"}) == "call":
            hidden = sorted({*known.arguments, *filter(None, [self.rule.mask])})
            self.fields["mask"] = forms.ChoiceField(
                label="Mask in the console",
                choices=[("", "nothing"), *((name, name) for name in hidden)],
                help_text="An argument that card and run hide until whoever reads opens it.",
                required=False,
            )
            self.fields["redact"] = forms.CharField(
                label="Withhold from program and model",
                max_length=80,
                help_text="Name of a field in what the tool answers, such as iban. Mask and"
                " withhold count where it waits for signatures.",
                required=False,
            )
        self.fields["notify"] = forms.ChoiceField(
            label="Tell by mail that it held",
            choices=[("", "nobody"), *((role, words.role(role)) for role in known.signers)],
            help_text="Once for each run, without what was in the call.",
            required=False,
        )

    def made(self) -> RuleForm:
        """The rule as filled in; whether it can be one, `policies.forms.write` says."""
        given = self.cleaned_data
        review = given["outcome"] == REVIEW
        return RuleForm(
            id=given["id"].strip(),
            kind=self.kind.id,
            values={each.name: given.get(each.name) for each in self.kind.fields},
            reason=given.get("reason", "").strip(),
            role=given["role"] if review else "",
            quorum=given["quorum"] or 1 if review else 1,
            shadow=given["outcome"] == SHADOW,
            agent=given["agent"],
            code=review and given["code"],
            redact=given.get("redact", "").strip(),
            mask=given.get("mask", ""),
            notify=given.get("notify", ""),
        )


def _initial(kind: Kind, rule: RuleForm) -> dict[str, Any]:
    values = {each.name: each.initial for each in kind.fields if each.initial}
    for name, value in rule.values.items():
        values[name] = "\n".join(value) if name == "hosts" else value
    waits = kind.signable and (rule.role or not rule.values)
    outcome = SHADOW if rule.shadow else REVIEW if waits else FINAL
    return {
        **values,
        "id": rule.id,
        "outcome": outcome,
        "role": rule.role,
        "quorum": rule.quorum,
        "code": rule.code,
        "agent": rule.agent,
        "reason": rule.reason,
        **rule.obligations,
    }


def _field(each: Field, known: Choices) -> forms.Field:
    common: dict[str, Any] = {
        "label": each.label,
        "help_text": each.help,
        "required": each.required,
    }
    empty = [] if each.required else [("", "any")]
    offered = {
        Type.TOOL: known.tools,
        Type.LABEL: known.labels,
        Type.ROLE: known.roles,
    }.get(each.type)
    if offered is not None:
        return forms.ChoiceField(choices=[*empty, *((o, o) for o in offered)], **common)
    match each.type:
        case Type.CHOICE:
            return forms.ChoiceField(choices=each.choices, **common)
        case Type.TIER:
            tiers = [(str(n), words.tier(n)) for n in range(5)]
            return forms.ChoiceField(choices=tiers, **common)
        case Type.TOOLS:
            return _several(known.tools, common)
        case Type.LABELS:
            return _several(known.labels, common)
        case Type.KINDS:
            return forms.MultipleChoiceField(
                choices=each.choices, widget=forms.CheckboxSelectMultiple, **common
            )
        case Type.HOSTS:
            return Lines(**common)
        case Type.NUMBER | Type.HOUR:
            top = 24 if each.type is Type.HOUR else 10**12
            return forms.IntegerField(min_value=0, max_value=top, **common)
    return forms.CharField(max_length=200, **common)


def _several(offered: Sequence[str], common: Mapping[str, Any]) -> forms.Field:
    return forms.MultipleChoiceField(
        choices=[(one, one) for one in offered], widget=forms.CheckboxSelectMultiple, **common
    )


class TextForm(forms.Form):
    text = forms.CharField(
        label="Policy text",
        max_length=MAX_POLICY_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 30, "class": "json", "spellcheck": "false"}),
        help_text="Cedar. Every rule needs an @id; what no rule permits is refused.",
    )
    note = forms.CharField(label="What changes, in a few words", max_length=200, required=False)


class SimulateForm(forms.Form):
    days = forms.IntegerField(label="Days back", min_value=1, max_value=MAX_DAYS, initial=30)


class CaseForm(forms.Form):
    """What every required test has."""

    name = forms.CharField(label="Name of the test", max_length=MAX_NAME)
    expect = forms.ChoiceField(label="The policy must say", choices=_EXPECT)


class SignedCaseForm(CaseForm):
    """A test that may say what a review must ask for at least."""

    quorum = forms.IntegerField(
        label="Signatures, at least",
        min_value=1,
        max_value=MAX_QUORUM,
        required=False,
        help_text="Where it must say review; leave empty if any will do.",
    )
    role = forms.ChoiceField(label="Of", required=False)

    def __init__(self, data: Mapping[str, Any] | None, known: Choices) -> None:
        super().__init__(data)
        self.fields["role"] = forms.ChoiceField(
            label="Of", choices=[(role, words.role(role)) for role in known.signers], required=False
        )

    def signed(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """The case with the signatures that were filled in."""
        given = self.cleaned_data
        if not given["quorum"]:
            return dict(case)
        role = given["role"] or "reviewer"
        return cases.signed(case, Requirement(((role, given["quorum"]),)))


class ProgramCaseForm(SignedCaseForm):
    prefix = "program"
    code = forms.CharField(
        label="Program",
        max_length=MAX_CODE,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "json", "spellcheck": "false"}),
        help_text="Python as an agent would write it; it is analysed, not run.",
    )

    def case(self) -> dict[str, Any]:
        given = self.cleaned_data
        return self.signed(cases.program(given["name"], given["code"], given["expect"]))


class CallCaseForm(SignedCaseForm):
    prefix = "call"
    tool = forms.ChoiceField(label="Tool")
    arguments = JSONText(
        label="Arguments", help_text='As JSON, such as {"amount": 1000.01}.', initial="{}"
    )
    origin = forms.ChoiceField(
        label="The arguments come from", choices=list(cases.ORIGINS.items()), required=False
    )
    labels = forms.MultipleChoiceField(
        label="Labels of the arguments", required=False, widget=forms.CheckboxSelectMultiple
    )
    seen = forms.MultipleChoiceField(
        label="Read before it", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, data: Mapping[str, Any] | None, known: Choices) -> None:
        super().__init__(data, known)
        self.fields["tool"] = forms.ChoiceField(
            label="Tool", choices=[(name, name) for name in known.tools]
        )
        for name in ("labels", "seen"):
            field = self.fields[name]
            if isinstance(field, forms.MultipleChoiceField):
                field.choices = [(label, label) for label in known.labels]

    def case(self) -> dict[str, Any]:
        given = self.cleaned_data
        if not isinstance(given["arguments"], dict):
            raise CaseError("Arguments must be a JSON object.")
        return self.signed(
            cases.call(
                given["name"],
                given["tool"],
                given["arguments"],
                given["expect"],
                origin=given["origin"] or "task",
                labels=given["labels"],
                seen=given["seen"],
            )
        )


class PastCaseForm(CaseForm):
    prefix = "past"
    decision = forms.UUIDField(label="Decision", widget=forms.HiddenInput)
