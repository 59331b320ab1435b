"""Members and their roles."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from countersign.accounts import selectors
from countersign.console import guards
from countersign.console.pages import render


@require_safe
@guards.page
def person_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    context = {
        "nav": "people",
        "people": selectors.people(member.id),
        "accounts": selectors.service_accounts(member.id) if member.is_admin else (),
    }
    return render(request, member, "console/person_list.html", context)
