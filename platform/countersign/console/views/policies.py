"""Policies: the text in force, its rules as sentences, every version."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents import registry
from countersign.console import code, guards, rules
from countersign.console.pages import render
from policies import selectors
from policies.errors import NotFound


@require_safe
@guards.page
def policy_detail(request: HttpRequest, slug: str, number: int | None = None) -> HttpResponse:
    """The active version, or one by its number."""
    member = guards.member(request, slug)
    versions = selectors.policy_versions(member.id)
    wanted = next(
        (
            row
            for row in versions
            if (row.active if number is None else row.version.number == number)
        ),
        None,
    )
    if wanted is None and number is not None:
        raise NotFound(f"no policy version {number}")
    before = next(
        (row for row in versions if wanted and row.version.number == wanted.version.number - 1),
        None,
    )
    context = {
        "nav": "policies",
        "versions": versions,
        "row": wanted,
        "before": before,
        "rules": rules.read(wanted.version.text, registry.tool_specs(member.id))
        if wanted
        else None,
        "text": code.rows(wanted.version.text, language="cedar") if wanted else (),
        "changes": code.difference(before.version.text, wanted.version.text)
        if wanted and before
        else (),
    }
    return render(request, member, "console/policy_detail.html", context)
