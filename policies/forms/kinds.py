"""The kinds of rules that people fill in, each with its fields and the Cedar it makes.

Conditions read what a single call, program or run is known to be (schema.py), so they hold for
every agent and for tools that are registered later. Text that people give stands in Cedar as a
quoted literal and nowhere else.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from policies.schema import quoted
from policies.vocabulary import PERSONAL

Values = Mapping[str, Any]

MAX_TEXT = 200
MAX_ITEMS = 50
_TOP_AMOUNT = Decimal(10) ** 14
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")


class FormError(Exception):
    """A form that makes no rule; the message says which field and what to do."""


class Type(StrEnum):
    """What a field holds; `Values` keep text, whole numbers, or lists of text."""

    TOOL = "tool"  # a tool's name, or "" for any
    TOOLS = "tools"
    LABEL = "label"
    LABELS = "labels"
    ROLE = "role"  # of an argument
    TIER = "tier"
    MONEY = "money"  # such as "1000.00"
    NUMBER = "number"
    HOUR = "hour"  # 0 to 24
    HOSTS = "hosts"
    MODULE = "module"
    CHOICE = "choice"
    KINDS = "kinds"  # some of the field's choices


@dataclass(frozen=True)
class Field:
    """One thing a form asks for.

    Attributes:
        choices: value and words, for `Type.CHOICE` and `Type.KINDS`.
        required: whether it may be left empty.
    """

    name: str
    type: Type
    label: str
    help: str = ""
    required: bool = True
    choices: tuple[tuple[str, str], ...] = ()
    initial: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of rule.

    Attributes:
        example: a sentence such as people would say it.
        action: Cedar's action: "call" (any tool call), "execute" or "use_model"; a budget
            chooses by what it counts.
        condition: Cedar expression of the values; "" for always.
        signable: whether its rule can wait for signatures.
    """

    id: str
    title: str
    example: str
    fields: tuple[Field, ...]
    condition: Callable[[Values], str]
    action: Callable[[Values], str] = lambda _values: "call"
    signable: bool = True

    def clean(self, given: Values) -> dict[str, Any]:
        """The values of this kind's fields, checked; the empty ones left out.

        Raises:
            FormError: a value that cannot be; names its field.
        """
        found: dict[str, Any] = {}
        for each in self.fields:
            value = _clean(each, given.get(each.name))
            if value in ("", [], None):
                if each.required:
                    raise FormError(f"{each.label}: this must be filled in")
                continue
            found[each.name] = value
        return found


def _clean(field: Field, value: object) -> Any:  # noqa: ANN401 - text, number or list
    match field.type:
        case Type.TOOLS | Type.LABELS | Type.HOSTS | Type.KINDS:
            return _several(field, value)
        case Type.TIER | Type.NUMBER | Type.HOUR:
            return _whole(field, value)
        case Type.MONEY:
            return _money(field, value)
    text = "" if value is None else str(value).strip()
    if len(text) > MAX_TEXT or not text.isprintable():
        raise FormError(f"{field.label}: at most {MAX_TEXT} characters that can be seen")
    if field.type is Type.CHOICE and text and text not in dict(field.choices):
        raise FormError(f"{field.label}: choose one of the list")
    pattern = {Type.LABEL: _LABEL, Type.ROLE: _LABEL, Type.MODULE: _MODULE}.get(field.type)
    if text and pattern is not None and not pattern.fullmatch(text):
        raise FormError(f"{field.label}: {text!r} cannot be one")
    return text


def _several(field: Field, value: object) -> list[str]:
    items = value.splitlines() if isinstance(value, str) else value
    if items is None:
        return []
    if not isinstance(items, Sequence) or len(items) > MAX_ITEMS:
        raise FormError(f"{field.label}: a list of at most {MAX_ITEMS}")
    texts = sorted({str(item).strip() for item in items} - {""})
    if field.type is Type.HOSTS:
        texts = sorted({text.lower() for text in texts})
    if field.type is Type.KINDS and not set(texts) <= set(dict(field.choices)):
        raise FormError(f"{field.label}: choose from the list")
    pattern = {Type.LABELS: _LABEL, Type.HOSTS: _HOST}.get(field.type)
    for text in texts:
        good = pattern.fullmatch(text) if pattern is not None else text.isprintable()
        if not good or len(text) > MAX_TEXT:
            raise FormError(f"{field.label}: {text[:60]!r} cannot be one")
    return texts


def _whole(field: Field, value: object) -> int | None:
    top = {Type.TIER: 4, Type.HOUR: 24}.get(field.type, 10**12)
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not int(text[:20]) <= top:
        raise FormError(f"{field.label}: a whole number from 0 to {top:,}")
    return int(text)


def _money(field: Field, value: object) -> str:
    text = "" if value is None else str(value).strip().replace(",", "").replace(" ", "")
    if not text:
        return ""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise FormError(f"{field.label}: a number such as 1000.00") from None
    if not amount.is_finite() or not 0 <= amount < _TOP_AMOUNT or amount.as_tuple().exponent < -2:  # type: ignore[operator]
        raise FormError(f"{field.label}: from 0 up, with at most two digits after the point")
    return format(amount.quantize(Decimal("0.01")), "f")


# Parts of conditions


def _set(items: Sequence[str]) -> str:
    return f"[{', '.join(quoted(item) for item in items)}]"


def _minor(values: Values, name: str) -> int:
    return int((Decimal(values[name]) * 100).to_integral_value(ROUND_FLOOR))


def _all(*parts: str) -> str:
    return " && ".join(part for part in parts if part)


def _outward(values: Values) -> str:
    """A rule about no tool in particular is about every tool that lets data out."""
    return "" if values.get("tool") else "resource.outward"


def _writes(values: Values) -> str:
    return "" if values.get("tool") else 'resource.effect != "read"'


def _decides(values: Values) -> str:
    pair = quoted(f"{values['label']} -> {values['role']}")
    return f"(context.call.flows.contains({pair}) || context.call.choices.contains({pair}))"


def _recipient(values: Values) -> str:
    tools = values.get("tools", [])
    known = _set(["task", "tool"] if tools else ["task"])
    elsewhere = f"!{known}.containsAll(context.call.recipient_sources)"
    if tools:
        elsewhere = f"({elsewhere} || !{_set(tools)}.containsAll(context.call.recipient_tools))"
    return _all('context.call.roles.contains("recipient")', elsewhere)


def _hosts(values: Values) -> str:
    if values["which"] == "only":
        return f"!{_set(values['hosts'])}.containsAll(context.call.hosts)"
    return f"context.call.hosts.containsAny({_set(values['hosts'])})"


def _hours(values: Values) -> str:
    begin, end = values["begin"], values["end"]
    if begin == end:
        raise FormError("Until: choose another hour than that of the beginning")
    early, late = f"context.run.hour < {begin}", f"context.run.hour >= {end}"
    # From 22 to 6 goes over midnight: outside is then between the two.
    outside = f"{early} || {late}" if begin < end else f"{early} && {late}"
    if values["days"] == "workdays":
        outside = f"{outside} || context.run.weekday > 5"
    return _all(_writes(values), f"({outside})")


def _budget(values: Values) -> str:
    counted = values["counter"]
    if counted.startswith("today."):
        reached = f"context.call.{counted} >= {values['limit']}"
    else:
        reached = f"context.run.spent.{counted} >= {values['limit']}"
    writes = counted == "writes" or counted.startswith("today.")
    return _all('resource.effect != "read"' if writes else "", reached)


def _budget_action(values: Values) -> str:
    counted = values["counter"]
    if counted in ("tokens", "cost_micros"):
        return "use_model"
    return "execute" if counted in ("steps", "seconds") else "call"


_SECRETS = "secrets"
_FEATURES: Final = {
    "unmodelled": ("constructs that the analysis cannot follow", "!{p}.unmodelled.isEmpty()"),
    "rough": ("constructs that the analysis follows only roughly", "!{p}.rough.isEmpty()"),
    "endless": ("loops without an end in sight", "{p}.unbounded_loops > 0"),
    "uncounted": ("write calls that cannot be counted", "!{p}.writes_counted"),
    "blobs": ("large encoded texts", "{p}.blobs > 0"),
    "personal": ("personal data in its text", "!{p}.personal.isEmpty()"),
    "secrets": ("what looks like a password or key in its text", "!{p}.secrets.isEmpty()"),
    "sql": ("SQL in its text", "!{p}.sql.isEmpty()"),
}


def _feature(values: Values) -> str:
    return _FEATURES[values["feature"]][1].format(p="context.program")


def _prompt(values: Values) -> str:
    kinds = [kind for kind in values["found"] if kind != _SECRETS]
    parts = [] if kinds == values["found"] else ["!context.prompt.secrets.isEmpty()"]
    if kinds:
        named = f"context.prompt.personal.containsAny({_set(kinds)})"
        every = len(kinds) == len(PERSONAL)
        parts.append("!context.prompt.personal.isEmpty()" if every else named)
    held = parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"
    label = values.get("label", "")
    return _all(held, f"!resource.labels.contains({quoted(label)})" if label else "")


def _execute(_values: Values) -> str:
    return "execute"


# The kinds

_TOOL = Field("tool", Type.TOOL, "Tool")
_ANY_TOOL = Field("tool", Type.TOOL, "Tool", "Leave empty for every tool.", required=False)
_ANY_WRITE = Field("tool", Type.TOOL, "Tool", "Leave empty for every tool that writes.", False)
_TO = Field("tool", Type.TOOL, "Tool", "Leave empty for everything that lets data out.", False)
_LABEL_FIELD = Field("label", Type.LABEL, "Label of the data")

_ALL: Final = (
    Kind(
        "tool",
        "A tool",
        "Every call of “send mail” needs a signature.",
        (_TOOL,),
        lambda _values: "",
    ),
    Kind(
        "tier",
        "Risk tier",
        "Writes of risk tier 3 and above need two signatures.",
        (Field("tier", Type.TIER, "Risk tier, and above", "0 is no risk, 4 is critical."),),
        lambda v: f'resource.effect != "read" && resource.tier >= {v["tier"]}',
    ),
    Kind(
        "amount",
        "Amount",
        "Payments over 10,000.00 need two finance signatures.",
        (
            _ANY_TOOL,
            Field("over", Type.MONEY, "Over", "In units of the currency, such as 1000.00."),
        ),
        lambda v: (
            f"(context.call.amount_minor > {_minor(v, 'over')} || !context.call.amount_known)"
        ),
    ),
    Kind(
        "label",
        "Data and where it goes",
        "Personal data does not leave by mail.",
        (_LABEL_FIELD, _TO),
        lambda v: _all(_outward(v), f"context.call.labels.contains({quoted(v['label'])})"),
    ),
    Kind(
        "decides",
        "What may not decide an argument",
        "Untrusted text does not decide the amount.",
        (_LABEL_FIELD, Field("role", Type.ROLE, "Role of the argument"), _ANY_WRITE),
        lambda v: _all(_writes(v), _decides(v)),
    ),
    Kind(
        "recipient",
        "Where a recipient comes from",
        "Who is paid comes from the task or from the vendor master.",
        (
            Field(
                "tools",
                Type.TOOLS,
                "Master data: tools it may come from",
                "None: the task alone may name it.",
                required=False,
            ),
            _ANY_WRITE,
        ),
        lambda v: _all(_writes(v), _recipient(v)),
    ),
    Kind(
        "after",
        "After reading",
        "After personal data was read, nothing leaves by mail.",
        (_LABEL_FIELD, _TO),
        lambda v: _all(_outward(v), f"context.call.seen.contains({quoted(v['label'])})"),
    ),
    Kind(
        "trio",
        "Untrusted, confidential, outward",
        "Confidential data leaves only if nothing untrusted was read.",
        (
            Field("untrusted", Type.LABEL, "Label of what outsiders wrote", initial="untrusted"),
            Field("sensitive", Type.LABELS, "Labels of what must not leak"),
        ),
        lambda v: _all(
            "resource.outward",
            f"context.call.seen.contains({quoted(v['untrusted'])})",
            f"context.call.labels.containsAny({_set(v['sensitive'])})",
        ),
    ),
    Kind(
        "host",
        "Hosts",
        "Addresses in a call name only our own hosts.",
        (
            Field(
                "which",
                Type.CHOICE,
                "The rule is about",
                choices=(("only", "every host but these"), ("these", "these hosts")),
                initial="only",
            ),
            Field("hosts", Type.HOSTS, "Hosts", "One per line, such as example.org."),
            _ANY_TOOL,
        ),
        _hosts,
    ),
    Kind(
        "budget",
        "Budget",
        "After fifty writes a person looks before the run goes on.",
        (
            Field(
                "counter",
                Type.CHOICE,
                "What is counted, in the run unless it says today",
                choices=(
                    ("tool_calls", "tool calls"),
                    ("writes", "write calls"),
                    ("steps", "steps"),
                    ("seconds", "seconds of work"),
                    ("tokens", "tokens of the model"),
                    ("cost_micros", "cost of the model, in millionths of the currency"),
                    ("today.writes", "write calls of the agent today"),
                    ("today.recipients", "recipients the agent reached today"),
                    ("today.amount_minor", "amount the agent moved today, in hundredths"),
                ),
                initial="writes",
            ),
            Field("limit", Type.NUMBER, "From this many on"),
        ),
        _budget,
        _budget_action,
    ),
    Kind(
        "hours",
        "Time of day",
        "Nothing is paid outside working hours.",
        (
            Field("begin", Type.HOUR, "Allowed from", "Hour of the day in UTC.", initial="6"),
            Field("end", Type.HOUR, "Until", "Hour of the day in UTC.", initial="18"),
            Field(
                "days",
                Type.CHOICE,
                "On",
                choices=(("all", "every day"), ("workdays", "Monday to Friday")),
                initial="all",
            ),
            _ANY_WRITE,
        ),
        _hours,
    ),
    Kind(
        "first",
        "First use",
        "The first write by a new version of an agent needs a signature.",
        (_ANY_WRITE,),
        lambda v: _all(_writes(v), "context.call.first_use"),
    ),
    Kind(
        "feature",
        "What a program contains",
        "Programs with endless loops are read by a person.",
        (
            Field(
                "feature",
                Type.CHOICE,
                "The program has",
                choices=tuple((key, words) for key, (words, _) in _FEATURES.items()),
            ),
        ),
        _feature,
        _execute,
    ),
    Kind(
        "prompt",
        "What a model is told",
        "A password goes to no model, a card number only to models for personal data.",
        (
            Field(
                "found",
                Type.KINDS,
                "The prompt has",
                "Looked for in instructions, task, replies and results of every step.",
                choices=((_SECRETS, "what looks like a password or key"), *PERSONAL.items()),
            ),
            Field(
                "label",
                Type.LABEL,
                "But not for models that take data with the label",
                "Leave empty for every model.",
                required=False,
            ),
        ),
        _prompt,
        lambda _values: "use_model",
        signable=False,
    ),
    Kind(
        "import",
        "An import",
        "Programs that use “re” are read by a person.",
        (Field("module", Type.MODULE, "Module", "Such as re or statistics."),),
        lambda v: f"context.program.imports.contains({quoted(v['module'])})",
        _execute,
    ),
)
KINDS: Final[Mapping[str, Kind]] = {kind.id: kind for kind in _ALL}
