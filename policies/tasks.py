"""Mail to reviewers, and the sweep that makes up for what a lost message left undone."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Q
from django.utils import timezone

from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import selectors, standing
from policies.directory import Person, directory
from policies.models import OPEN_STATES, ApprovalRequest, ApprovalState, EventKind

TIERS = ("No risk", "Low risk", "Medium risk", "High risk", "Critical risk")
ESCALATE_TO = "policy_officer"
APPOINTING = ("admin", "policy_officer")
"""Who propose and sign that somebody becomes a reviewer."""
OVERDUE = timedelta(minutes=1)
"""A mail not sent by then lost its message between commit and send."""
REMIND_AT = 0.25
"""Share of the time to sign that is left when reviewers are reminded."""
ENDS = {
    ApprovalState.REJECTED: ("Rejected: ", "A reviewer rejected it and said why. Read it:"),
    ApprovalState.EXPIRED: ("Expired: ", "It was not signed, or not used, in time. Read it:"),
    ApprovalState.SUPERSEDED: (
        "Out of date: ",
        "What it builds on has changed, so it will not be made. Read it, and propose it again:",
    ),
}
"""How a request ends without what it asked for, and what whoever asked is mailed then."""
_SYSTEM = Actor("system", "countersign", "Countersign")


@shared_task(name="policies.notify_reviewers", ignore_result=True)
def notify_reviewers(workspace_id: str, request_id: str) -> None:
    """Mail everyone who may sign a request, once; a second call does nothing."""
    _notify(UUID(workspace_id), UUID(request_id), timezone.now())


@shared_task(name="policies.notify_assignee", ignore_result=True)
def notify_assignee(workspace_id: str, request_id: str, by: str = "") -> None:
    """Mail whom a request was handed to: a person, or all of a group who may sign it.

    ``by``: who handed it on; they know.
    """
    with in_workspace(UUID(workspace_id)):
        handed = Q(assignee__isnull=False) | ~Q(assignee_role="")
        request = _claim(UUID(request_id), handed)
        if request is None:
            return
        people = [person for person in _handed_to(request, timezone.now()) if person.id != by]
        whose = " to your group" if request.assignee_role else " to you"
        _send(request, people, f"Handed{whose}: ")
        _record(request, "approval.handed_on", people)


@shared_task(name="policies.notify_question", ignore_result=True)
def notify_question(workspace_id: str, request_id: str) -> None:
    """Mail whoever asked for a request that a reviewer has a question; of a program, its people."""
    with in_workspace(UUID(workspace_id)):
        request = _claim(UUID(request_id), Q(state=ApprovalState.INFO_REQUESTED))
        if request is None:
            return
        ids = {request.requester_id} | directory().behind(request.requester_id)
        people = _members(request, ids)
        _send(request, people, "Question: ", "A reviewer asks something. Read it and answer:")
        _record(request, "approval.question_sent", people)


@shared_task(name="policies.notify_answer", ignore_result=True)
def notify_answer(workspace_id: str, request_id: str) -> None:
    """Mail whoever asked the last question about a request that it was answered."""
    with in_workspace(UUID(workspace_id)):
        request = _claim(UUID(request_id), Q(state=ApprovalState.WAITING))
        if request is None:
            return
        asked = request.events.filter(kind=EventKind.INFO_REQUESTED).order_by("-number").first()
        people = _members(request, {str(asked.user_id)} if asked else ())
        _send(request, people, "Answered: ", "Your question was answered. Read it and decide:")
        _record(request, "approval.answer_sent", people)


@shared_task(name="policies.notify_end", ignore_result=True)
def notify_end(workspace_id: str, request_id: str) -> None:
    """Mail whoever asked that a request ended without what it asked for; of a program, its people.

    What another request has taken the place of, or what people withdrew, is not told.
    """
    with in_workspace(UUID(workspace_id)):
        requests = ApprovalRequest.objects.select_related("workspace").filter(id=request_id)
        request = requests.filter(state__in=ENDS, superseded_by__isnull=True).first()
        if request is None or _goes_on(request):
            return
        prefix, wanted = ENDS[ApprovalState(request.state)]
        ids = {request.requester_id} | directory().behind(request.requester_id)
        people = _members(request, ids)
        _send(request, people, prefix, wanted)
        _record(request, "approval.end_sent", people)


def _goes_on(request: ApprovalRequest) -> bool:
    """A step whose request is out of date is decided anew by its run, and asks by itself."""
    return request.state == ApprovalState.SUPERSEDED and request.run_id is not None


def _members(request: ApprovalRequest, ids: Iterable[str]) -> list[Person]:
    """Those of these people who are still members of the request's workspace."""
    found = (
        directory().person(each)
        for each in sorted(ids)
        if directory().roles(each, request.workspace_id)
    )
    return [person for person in found if person is not None]


def _handed_to(request: ApprovalRequest, now: datetime) -> list[Person]:
    if request.assignee_role:
        return standing.eligible_of(request, request.assignee_role, directory(), now)
    person = directory().person(str(request.assignee_id))
    return [] if person is None else [person]


@shared_task(name="policies.sweep", ignore_result=True)
def sweep() -> None:
    """Make up for what lost messages and dead workers left undone; see `sweep_at`."""
    sweep_at(timezone.now())


@shared_task(name="policies.simulate", ignore_result=True)
def simulate(workspace_id: str, simulation_id: str) -> None:
    """Try a policy version on past decisions; a second call does nothing."""
    from policies.services import policy_simulation_run  # noqa: PLC0415 - as below

    policy_simulation_run(workspace_id=UUID(workspace_id), simulation_id=UUID(simulation_id))


def sweep_at(now: datetime) -> None:
    """Expire requests of no run, send overdue mail, remind before sign-by, make signed changes.

    Simulations that nobody works on are sent again.
    """
    # Services import this module to enqueue; the way back is taken at run time only.
    from policies.services import (  # noqa: PLC0415
        approvals_expire,
        approvals_renew,
        change_apply,
        changes_signed,
        simulations_again,
    )

    approvals_expire(now=now)
    approvals_renew(now=now)
    for workspace_id, request_id in _unsent(now):
        _notify(workspace_id, request_id, now)
    for workspace_id, request_id in _near(now):
        _remind(workspace_id, request_id, now)
    # The door that took the last signature makes the change; this is for one that died before.
    for workspace_id, request_id in changes_signed():
        change_apply(workspace_id=workspace_id, request_id=request_id, now=now)
    for workspace_id, simulation_id in simulations_again(now=now):
        simulate.delay(str(workspace_id), str(simulation_id))


def _notify(workspace_id: UUID, request_id: UUID, now: datetime) -> None:
    with in_workspace(workspace_id):
        request = _claim(request_id, Q(notified__isnull=True))
        if request is None:
            return
        people = standing.eligible(request, directory(), now)
        _send(request, people, "")
        request.notified = now
        request.save(update_fields=["notified"])
        _record(request, "approval.notified", people)
        if standing.missing(request, directory(), now):
            _strand(request)


def _strand(request: ApprovalRequest) -> None:
    """Tell those who appoint people that too few may sign; otherwise it can only expire."""
    people = _unique(
        [
            person
            for role in APPOINTING
            for person in directory().members_with_role(request.workspace_id, role)
        ]
    )
    wanted = "Fewer people may sign it than it needs. Appoint reviewers, or it will expire:"
    _send(request, people, "Too few reviewers: ", wanted)
    _record(request, "approval.stranded", people)


def _remind(workspace_id: UUID, request_id: UUID, now: datetime) -> None:
    with in_workspace(workspace_id):
        request = _claim(request_id, Q(reminded__isnull=True))
        if request is None:
            return
        officers = directory().members_with_role(workspace_id, ESCALATE_TO)
        people = _unique([*standing.eligible(request, directory(), now), *officers])
        _send(request, people, "Reminder: ")
        request.reminded = now
        request.save(update_fields=["reminded"])
        _record(request, "approval.reminded", people)


def _claim(request_id: UUID, unsent: Q) -> ApprovalRequest | None:
    """Lock the request unless another worker is sending for it right now."""
    # Mail leaves before the commit that says so: after a crash twice rather than never.
    requests = ApprovalRequest.objects.select_for_update(skip_locked=True, of=("self",))
    return (
        requests.select_related("workspace")
        .filter(unsent, id=request_id, state__in=OPEN_STATES)
        .first()
    )


def _unique(people: list[Person]) -> list[Person]:
    return list({person.id: person for person in people}.values())


def _send(
    request: ApprovalRequest,
    people: list[Person],
    prefix: str,
    wanted: str = "Read it and decide:",
) -> None:
    """One message each, so that nobody learns the others' addresses."""
    headline = _headline(request)
    subject = f"{prefix}{TIERS[request.tier]}: {headline}"
    agent = "" if request.run_id is None else f"Agent: {request.agent_name}\n"
    clock = f"Sign by: {request.sign_by:%Y-%m-%d %H:%M} UTC"
    closing = "This message cannot sign anything. Log in, read the card and decide there."
    if request.closed is not None:
        clock = f"Ended: {request.closed:%Y-%m-%d %H:%M} UTC"
        closing = "There is nothing left to sign."
    body = (
        f"{headline}\n\n"
        f"Workspace: {request.workspace.name}\n"
        f"{agent}"
        f"Risk: {TIERS[request.tier].removesuffix(' risk').lower()}\n"
        f"{clock}\n\n"
        f"{wanted}\n"
        f"{settings.COUNTERSIGN_URL}/w/{request.workspace.slug}/approvals/{request.id}/\n\n"
        f"{closing}\n"
    )
    messages = [
        EmailMessage(" ".join(subject.split()), body, to=[person.email]) for person in people
    ]
    with get_connection() as mail:
        mail.send_messages(messages)


def _headline(request: ApprovalRequest) -> str:
    """The notice; the agent's name in front of it where it does not begin with that."""
    name = request.agent_name.rpartition(" v")[0] or request.agent_name
    return request.notice if request.notice.startswith(name) else f"{name}: {request.notice}"


def _record(request: ApprovalRequest, action: str, people: list[Person]) -> None:
    """In the workspace's order, not the run's: mail goes out while a worker may hold the run."""
    subject = Subject("approval_request", str(request.id))
    detail = {"people": [person.id for person in people]}
    record(request.workspace_id, [Draft(action, _SYSTEM, subject, detail=detail)])


def _unsent(now: datetime) -> list[tuple[UUID, UUID]]:
    return _open(Q(notified__isnull=True, created__lt=now - OVERDUE))


def _near(now: datetime) -> list[tuple[UUID, UUID]]:
    span = F("sign_by") - F("created")
    return _open(Q(reminded__isnull=True, sign_by__gt=now, sign_by__lt=now + span * REMIND_AT))


def _open(condition: Q) -> list[tuple[UUID, UUID]]:
    found: list[tuple[UUID, UUID]] = []
    for workspace_id in selectors.workspace_ids():
        with in_workspace(workspace_id):
            rows = ApprovalRequest.objects.filter(condition, state__in=OPEN_STATES)
            found += [(workspace_id, row) for row in rows.values_list("id", flat=True)]
    return found
