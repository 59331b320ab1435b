"""Who may take content out of the log; whoever is refused stands in it."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from audit import disclosure
from audit.naming import PLATFORM_NAME
from audit.services import Subject
from countersign.console import guards
from countersign.console.guards import Member


def auditor(request: HttpRequest, slug: str, refusal: str, subject: Subject) -> Member:
    """A member who may look behind a mask, and take exports away.

    Args:
        refusal: The action that records it where another member tries, such as `export.refused`.
        subject: What was tried for.

    Raises:
        Http404: a stranger to the workspace.
        PermissionDenied: a member who is no auditor; the entry is committed before.
    """
    if slug == PLATFORM_NAME:
        return guards.platform_auditor(request)
    found = guards.member(request, slug)
    if not found.is_auditor:
        disclosure.refuse(found.id, refusal, subject, actor=found.actor)
        raise PermissionDenied(
            "You need the role auditor for this. The attempt stands in the log. "
            "The people who give roles are under People, marked administrator."
        )
    return found
