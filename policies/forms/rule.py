"""A filled form and the rule it makes, and a rule and the form it was made by. Pure.

What a form makes carries the form in an annotation. It opens in the form again only where making
it again gives the same text to the byte: a rule that someone edited by hand is Cedar, and is shown
as Cedar.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cedarpy

from policies.engine import MAX_QUORUM, TOTP
from policies.forms.kinds import KINDS, FormError
from policies.schema import quoted

MAX_REASON = 300
_ID = re.compile(r"[a-z][a-z0-9-]{0,59}")
_ROLE = re.compile(r"reviewer(:[a-z0-9][a-z0-9_-]{0,47})?|policy_officer")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_FORM = re.compile(r'@form\s*\(\s*"((?:[^"\\]|\\.)*)"\s*\)')


@dataclass(frozen=True)
class RuleForm:
    """One rule as a form holds it.

    Attributes:
        kind: a key of `KINDS`.
        values: of the kind's fields.
        role: who must sign; "" makes the rule final.
        agent: the agent that the rule is for; "" for all.
        code: whoever signs gives a code of their authenticator beside the password.
        shadow: evaluated and recorded, not enforced.
        redact: a field of what the tool answers that neither program nor model is told.
        mask: an argument that the console hides until whoever reads opens it.
        notify: whom a mail tells that the rule held.
    """

    id: str
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    role: str = ""
    quorum: int = 1
    shadow: bool = False
    agent: str = ""
    code: bool = False
    redact: str = ""
    mask: str = ""
    notify: str = ""

    @property
    def obligations(self) -> dict[str, str]:
        """Annotation → what it names, of those that are set."""
        named = {"redact": self.redact, "mask": self.mask, "notify": self.notify}
        return {kind: value for kind, value in named.items() if value}


def write(form: RuleForm) -> str:
    """The Cedar text of a form's rule.

    Raises:
        FormError: the form is not whole; names the field and what to do.
    """
    kind = KINDS.get(form.kind)
    if kind is None:
        raise FormError("Kind: there is no such kind of rule")
    values = kind.clean(form.values)
    _check(form)
    condition, action = kind.condition(values), kind.action(values)
    if form.role and action == "use_model":
        raise FormError(
            "Then: a model is asked or not, and waits for nobody; choose to refuse or only record"
        )
    _check_obligations(form, action)
    lines = [
        f"@id({quoted(form.id)})" + (" @shadow" if form.shadow else ""),
        f"@form({quoted(_annotation(form, values))})",
    ]
    if form.role:
        code = f" @factor({quoted(TOTP)})" if form.code else ""
        lines.append(f'@review({quoted(form.role)}) @quorum("{form.quorum}")' + code)
    if form.reason:
        lines.append(f"@reason({quoted(form.reason)})")
    if form.obligations:
        lines.append(" ".join(f"@{k}({quoted(v)})" for k, v in form.obligations.items()))
    lines.append(f"forbid({_principal(form)}, {_action(action)}, {_resource(values)})")
    text = "\n".join(lines) + (f"\nwhen {{ {condition} }};" if condition else ";")
    _see_one_rule(text, form)
    return text


def read(text: str) -> RuleForm | None:
    """The form that made this rule; None where no form did, or it was changed since."""
    found = _FORM.search(text)
    if found is None:
        return None
    try:
        held = json.loads(json.loads(f'"{found[1]}"'))
        form = RuleForm(
            id=str(held["id"]),
            kind=str(held["kind"]),
            values=dict(held["values"]),
            reason=str(held.get("reason", "")),
            role=str(held.get("role", "")),
            quorum=int(held.get("quorum", 1)),
            shadow=held.get("shadow") is True,
            agent=str(held.get("agent", "")),
            code=held.get("code") is True,
            **{kind: str(held[kind]) for kind in ("redact", "mask", "notify") if kind in held},
        )
        return form if write(form) == text.strip() else None
    except (ValueError, KeyError, TypeError, AttributeError, FormError):
        return None


def _check(form: RuleForm) -> None:
    if not _ID.fullmatch(form.id):
        raise FormError("Name: small letters, digits and hyphens, such as pay-over-1000")
    if form.role and not _ROLE.fullmatch(form.role):
        raise FormError("Who signs: choose a role of the list")
    if not 1 <= form.quorum <= MAX_QUORUM:
        raise FormError(f"Signatures: from 1 to {MAX_QUORUM}")
    for label, text in (("Reason", form.reason), ("Agent", form.agent)):
        if len(text) > MAX_REASON or not text.isprintable():
            raise FormError(f"{label}: one line of at most {MAX_REASON} characters")


def _check_obligations(form: RuleForm, action: str) -> None:
    for label, name in (("Withhold", form.redact), ("Mask", form.mask)):
        if not name:
            continue
        if not _FIELD.fullmatch(name):
            raise FormError(f"{label}: one name of letters, digits and underscores, such as iban")
        if action != "call":
            raise FormError(f"{label}: only calls of tools have arguments and answers")
        if not form.role:
            raise FormError(
                f"{label}: choose that it waits for signatures; else nothing of it runs"
            )
    if form.notify and not _ROLE.fullmatch(form.notify):
        raise FormError("Tell by mail: choose a role of the list")


def _annotation(form: RuleForm, values: Mapping[str, Any]) -> str:
    held: dict[str, Any] = {"id": form.id, "kind": form.kind, "values": dict(values)}
    if form.reason:
        held["reason"] = form.reason
    if form.role:
        held |= {"role": form.role, "quorum": form.quorum}
        if form.code:
            held["code"] = True
    if form.shadow:
        held["shadow"] = True
    if form.agent:
        held["agent"] = form.agent
    held |= form.obligations
    return json.dumps(held, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _principal(form: RuleForm) -> str:
    return f"principal == Agent::{quoted(form.agent)}" if form.agent else "principal"


def _action(name: str) -> str:
    return 'action in Action::"call"' if name == "call" else f"action == Action::{quoted(name)}"


def _resource(values: Mapping[str, Any]) -> str:
    tool = values.get("tool", "")
    return f"resource == Tool::{quoted(tool)}" if tool else "resource"


def _see_one_rule(text: str, form: RuleForm) -> None:
    """Whatever was typed, it is one `forbid` of this name: never a `permit`, never two."""
    try:
        parsed = cedarpy.policies_to_pst(text)
    except ValueError as error:
        raise FormError(f"This makes no rule: {error}") from error
    rules = list(parsed.static_policies.values())
    whole = len(rules) == 1 and not parsed.templates and not parsed.template_links
    if not whole or rules[0].effect != "forbid" or rules[0].annotations.get("id") != form.id:
        raise FormError("This makes no single rule")
