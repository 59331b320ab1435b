"""Mail to those whom a rule obliges to tell: `@notify("reviewer:treasury")`.

It says that a rule held, in a sentence made from the rule, and where to look; never what was in
the call. One mail for each rule, group and run: the first time tells, the hundredth does not.
"""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction

from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies.directory import Person, directory
from policies.models import DecisionRecord

NOTIFY = "notify:"
_SYSTEM = Actor("system", "countersign", "Countersign")


def announce(workspace_id: UUID, rows: Iterable[DecisionRecord]) -> None:
    """Mail about these decisions once they are committed, where a rule wants it."""
    for row in rows:
        if any(_groups(rule) for rule in row.rules):
            ids = (str(workspace_id), str(row.id))
            # A broker that is away must not stop a decision.
            transaction.on_commit(partial(notify_rule.delay, *ids), robust=True)


@shared_task(name="policies.notify_rule", ignore_result=True)
def notify_rule(workspace_id: str, decision_id: str) -> None:
    """Mail the groups that the rules of a decision name."""
    with in_workspace(UUID(workspace_id)):
        row = DecisionRecord.objects.select_related("workspace").filter(id=decision_id).first()
        if row is None:
            return
        for rule in row.rules:
            for group in _groups(rule):
                if _is_first(row, rule["id"], group):
                    _tell(row, rule, group)


def _groups(rule: dict[str, object]) -> list[str]:
    named = rule.get("obligations")
    found = named if isinstance(named, list) else []
    return [str(each).removeprefix(NOTIFY) for each in found if str(each).startswith(NOTIFY)]


def _is_first(row: DecisionRecord, rule_id: str, group: str) -> bool:
    """Whether nobody was told of this rule in this run before."""
    if row.run_id is None:
        return True
    same = [{"id": rule_id, "obligations": [f"{NOTIFY}{group}"]}]
    earlier = DecisionRecord.objects.filter(run_id=row.run_id, rules__contains=same)
    first = earlier.order_by("created", "step", "call_seq", "id").first()
    return first is None or first.id == row.id


def _tell(row: DecisionRecord, rule: dict[str, object], group: str) -> None:
    people = directory().members_with_role(row.workspace_id, group)
    with get_connection() as mail:
        mail.send_messages([_message(row, rule, person) for person in people])
    detail = {"rule": str(rule["id"]), "people": [person.id for person in people]}
    subject = Subject("decision", str(row.id))
    record(row.workspace_id, [Draft("rule.notified", _SYSTEM, subject, detail=detail)])


def _message(row: DecisionRecord, rule: dict[str, object], person: Person) -> EmailMessage:
    place = f"/w/{row.workspace.slug}/"
    if row.run_id is not None:
        place += f"runs/{row.run_id}/" + (f"steps/{row.step}/" if row.step is not None else "")
    trial = "It is on trial and changed nothing.\n" if rule.get("shadow") else ""
    body = (
        f"Rule {rule['id']} held: {rule['sentence']}\n"
        f"The decision was: {row.outcome}.\n{trial}\n"
        f"{settings.COUNTERSIGN_URL}{place}\n"
    )
    return EmailMessage(f"Rule {rule['id']} held", body, to=[person.email])
