"""Editing a policy: by form, as Cedar, its required tests, its invariants.

Nothing is edited in place. Each of these pages makes a new draft from the version it was opened
at, whichever that is; the version in force stays what it was signed to be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents import registry
from agents import selectors as agents
from countersign.accounts import selectors as accounts
from countersign.console import guards, policy_words, rules
from countersign.console.guards import Member
from countersign.console.pages import posted, render, render_fragment
from countersign.console.policy_forms import (
    CallCaseForm,
    Choices,
    PastCaseForm,
    ProgramCaseForm,
    RuleEditForm,
    TextForm,
    choices,
)
from countersign.console.views.policies import after, chosen
from policies import cases, forms, life, selectors, services
from policies.cases import CaseError
from policies.engine import PolicyError
from policies.facts.record import ToolSpec
from policies.forms import KINDS, FormError, Kind, RuleForm
from policies.forms.text import set_shadow
from policies.models import PolicyVersion
from policies.pieces import find
from policies.readiness import invariant

INVALID = 422
AnyCaseForm: TypeAlias = ProgramCaseForm | CallCaseForm | PastCaseForm


@require_safe
@guards.page
def policy_rule_choose(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The kinds of rules, each with an example."""
    member = guards.officer(request, slug)
    context = {
        "nav": "policies",
        "version": chosen(member, number),
        "kinds": list(KINDS.values()),
        "promise": "promise" in request.GET,
    }
    return render(request, member, "console/policy_rule_choose.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def policy_rule_add(request: HttpRequest, slug: str, number: int, kind: str) -> HttpResponse:
    member = guards.officer(request, slug)
    version = chosen(member, number)
    blank = RuleForm(_free_name(version, kind), kind)
    return _rule(request, member, version, _kind(kind), blank, replaces="")


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def policy_rule_edit(request: HttpRequest, slug: str, number: int, rule: str) -> HttpResponse:
    """A rule in the form that made it; one that no form made opens in the text."""
    member = guards.officer(request, slug)
    version = chosen(member, number)
    piece = find(version.text, rule)
    if piece is None:
        raise Http404("no such rule")
    form = forms.read(piece.text)
    if form is None:
        address = reverse("console:policy_text", args=[slug, number])
        return redirect(f"{address}?line={piece.line}")
    return _rule(request, member, version, _kind(form.kind), form, replaces=rule)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def policy_invariant_add(request: HttpRequest, slug: str, number: int, kind: str) -> HttpResponse:
    member = guards.officer(request, slug)
    version = chosen(member, number)
    blank = RuleForm(f"always-{kind}", kind)
    return _rule(request, member, version, _kind(kind), blank, replaces="", promise=True)


def _rule(
    request: HttpRequest,
    member: Member,
    version: PolicyVersion,
    kind: Kind,
    rule: RuleForm,
    *,
    replaces: str,
    promise: bool = False,
) -> HttpResponse:
    """The page of one rule: filled in, looked at as a sentence, kept in a draft."""
    tools = registry.tool_specs(member.id)
    form = RuleEditForm(kind, _choices(member, tools), posted(request), rule, promise=promise)
    context: dict[str, Any] = {
        "nav": "policies",
        "version": version,
        "kind": kind,
        "form": form,
        "replaces": replaces,
        "promise": promise,
        "address": request.path,
    }
    status = 200
    # What is sent while someone types may name a button too; only the form itself keeps a rule.
    typing = "HX-Request" in request.headers
    if request.method == "POST":
        made = _try(form, version, tools, replaces, promise=promise)
        context["preview"] = made
        if made and "save" in request.POST and not typing:
            return _keep_rule(request, member, version, made, tools, replaces, promise=promise)
        status = 200 if made else INVALID
    elif rule.values:
        context["preview"] = _seen(forms.write(rule), tools)
    if typing:
        # Half-filled forms are shown as they are while someone types; faults come when it is sent.
        return render_fragment(request, member, "console/_policy_sentence.html", context)
    return render(request, member, "console/policy_rule.html", context, status=status)


def _try(
    form: RuleEditForm,
    version: PolicyVersion,
    tools: Sequence[ToolSpec],
    replaces: str,
    *,
    promise: bool,
) -> dict[str, Any] | None:
    """The rule as text and sentence; None, with the fault told at the form, where it is none."""
    if not form.is_valid():
        return None
    try:
        made = form.made()
        text = invariant(made) if promise else forms.write(made)
        taken = None if promise or made.id == replaces else find(version.text, made.id)
        if taken is not None:
            raise FormError(f"Name: there is a rule {made.id} already")
        seen = _seen(text, tools)
    except (FormError, PolicyError) as error:
        form.add_error(None, str(error))
        return None
    return seen | {"id": made.id}


def _seen(text: str, tools: Sequence[ToolSpec]) -> dict[str, Any]:
    read = rules.read(text, tools)
    if read.problem:
        raise PolicyError(read.problem)
    return {"text": text, "row": read.rows[0]}


def _keep_rule(
    request: HttpRequest,
    member: Member,
    version: PolicyVersion,
    made: Mapping[str, Any],
    tools: Sequence[ToolSpec],
    replaces: str,
    *,
    promise: bool,
) -> HttpResponse:
    name, text = made["id"], made["text"]
    if promise:
        kept = [*version.invariants, text]
        note = f"Invariant {name}"
        return _draft(request, member, version, note, tools, {"invariants": kept})
    if replaces:
        changed = forms.replace(version.text, replaces, text)
        return _draft(request, member, version, f"Rule {name} changed", tools, {"text": changed})
    added = forms.append(version.text, text)
    return _draft(request, member, version, f"Rule {name} added", tools, {"text": added})


def _draft(
    request: HttpRequest,
    member: Member,
    version: PolicyVersion,
    note: str,
    tools: Sequence[ToolSpec],
    content: Mapping[str, Any],
) -> HttpResponse:
    """Store an edit as the next draft.

    Raises:
        PolicyError: the text cannot be used.
    """
    made = services.policy_draft(
        workspace_id=member.id,
        author=member.actor,
        parent_id=version.id,
        note=note,
        tools=tools,
        **content,
    )
    return after(request, member, made, f"{note}.")


@require_POST
@guards.page
def policy_rule_change(request: HttpRequest, slug: str, number: int, rule: str) -> HttpResponse:
    """Take a rule out, put it on trial (shadow), or enforce it again."""
    member = guards.member(request, slug)
    version = chosen(member, number)
    piece = find(version.text, rule)
    if piece is None:
        raise Http404("no such rule")
    act = request.POST.get("act", "")
    if act == "remove":
        text, note = forms.remove(version.text, rule), f"Rule {rule} taken out"
    elif act in ("shadow", "enforce"):
        text = _shadowed(version.text, piece, shadow=act == "shadow")
        note = f"Rule {rule} {'only recorded' if act == 'shadow' else 'enforced'}"
    else:
        messages.error(request, "Choose what to do with the rule.")
        return redirect("console:policy_version", slug, number)
    try:
        tools = registry.tool_specs(member.id)
        return _draft(request, member, version, note, tools, {"text": text})
    except PolicyError as error:
        messages.error(request, str(error))
        return redirect("console:policy_version", slug, number)


def _shadowed(text: str, piece: forms.Piece, *, shadow: bool) -> str:
    """A rule that a form made stays one that opens in its form."""
    form = forms.read(piece.text)
    if form is None:
        return set_shadow(text, piece.id, shadow=shadow)
    return forms.replace(text, piece.id, forms.write(replace(form, shadow=shadow)))


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def policy_text(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The whole text as Cedar; a fault is told with its line."""
    member = guards.officer(request, slug)
    version = chosen(member, number)
    form = TextForm(posted(request), initial={"text": version.text})
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid():
            text = form.cleaned_data["text"].replace("\r\n", "\n")
            note = form.cleaned_data["note"] or "Text edited"
            try:
                tools = registry.tool_specs(member.id)
                return _draft(request, member, version, note, tools, {"text": text})
            except PolicyError as error:
                form.add_error(None, str(error))
    context = {
        "nav": "policies",
        "version": version,
        "form": form,
        "line": request.GET.get("line", ""),
    }
    return render(request, member, "console/policy_text.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def policy_test_add(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A required test: a program, a call, or a past decision."""
    member = guards.officer(request, slug)
    version = chosen(member, number)
    tools = registry.tool_specs(member.id)
    sent, known = posted(request), _choices(member, tools)
    kind = request.POST.get("kind", "")
    program = ProgramCaseForm(sent if kind == "program" else None, known)
    call = CallCaseForm(sent if kind == "call" else None, known)
    past = PastCaseForm(sent if kind == "past" else None)
    status = 200
    if request.method == "POST":
        status = INVALID
        offered: dict[str, AnyCaseForm] = {"program": program, "call": call, "past": past}
        form = offered.get(kind)
        made = _case(member, form) if form is not None else None
        if made is not None:
            tests = [*version.tests, made]
            note = f"Test “{made['name'][:80]}” added"
            return _draft(request, member, version, note, tools, {"tests": tests})
    context = {
        "nav": "policies",
        "version": version,
        "program": program,
        "call": call,
        "has_tools": bool(known.tools),
        "past": past,
        "decisions": _decisions(member),
    }
    return render(request, member, "console/policy_test.html", context, status=status)


def _case(member: Member, form: AnyCaseForm) -> dict[str, Any] | None:
    if not form.is_valid():
        return None
    try:
        if isinstance(form, PastCaseForm):
            return _past_case(member, form.cleaned_data)
        return form.case()
    except CaseError as error:
        form.add_error(None, str(error))
        return None


def _past_case(member: Member, given: Mapping[str, Any]) -> dict[str, Any]:
    decision_id: UUID = given["decision"]
    decision = selectors.decision(member.id, decision_id)
    if decision is None:
        raise CaseError("There is no such decision.")
    made = cases.stored(given["name"], decision.request, given["expect"])
    # "Must stay so" is said of the signatures as well.
    stays = made["expect"] == decision.outcome
    return cases.signed(made, life.signatures(decision.rules)) if stays else made


def _decisions(member: Member) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "run": row.run_id,
            "step": row.step,
            "created": row.created,
            "what": policy_words.action(row.action),
            "outcome": row.outcome,
            "word": policy_words.outcome(row.outcome),
            "sentence": row.sentence,
            "name": f"As on {row.created:%Y-%m-%d %H:%M:%S}: {policy_words.action(row.action)}",
        }
        for row in life.newest_decisions(member.id)
    ]


@require_POST
@guards.page
def policy_test_remove(request: HttpRequest, slug: str, number: int, place: int) -> HttpResponse:
    member = guards.member(request, slug)
    version = chosen(member, number)
    tests = _without(version.tests, place)
    note = f"Test “{version.tests[place].get('name', '')[:80]}” taken out"
    tools = registry.tool_specs(member.id)
    return _draft(request, member, version, note, tools, {"tests": tests})


@require_POST
@guards.page
def policy_invariant_remove(
    request: HttpRequest, slug: str, number: int, place: int
) -> HttpResponse:
    member = guards.member(request, slug)
    version = chosen(member, number)
    kept = _without(version.invariants, place)
    tools = registry.tool_specs(member.id)
    return _draft(request, member, version, "An invariant taken out", tools, {"invariants": kept})


def _without(items: Sequence[Any], place: int) -> list[Any]:
    if not 0 <= place < len(items):
        raise Http404("no such line")
    return [item for at, item in enumerate(items) if at != place]


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise Http404("no such kind of rule")
    return KINDS[name]


def _free_name(version: PolicyVersion, kind: str) -> str:
    """A name that no rule has yet, such as amount-2."""
    taken = {piece.id for piece in forms.pieces(version.text)}
    names = (f"{kind}-{count}" for count in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _choices(member: Member, tools: Sequence[ToolSpec]) -> Choices:
    names = [row.version.name for row in agents.agents(member.id)]
    return choices(tools, names, accounts.reviewer_groups(member.id))
