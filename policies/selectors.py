"""What doors and other rooms read: the active policy, the queue, a request, decisions, versions.

Every selector opens ``in_workspace``; what it returns is complete, since a lazy query after the
block would find nothing.
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.apps import apps
from django.db import connection
from django.db.models import Q, QuerySet, Subquery

from audit import wire
from audit.transactions import in_workspace
from policies import approvals, standing
from policies.directory import Directory, OnePage, Person, directory
from policies.errors import NotFound, Refusal
from policies.models import (
    OPEN_STATES,
    Approval,
    ApprovalEvent,
    ApprovalRequest,
    ApprovalState,
    DecisionRecord,
    Kind,
    PolicyActivation,
    PolicyVersion,
    Vote,
)

MOST_REQUESTS = 500


@dataclass(frozen=True)
class ActivePolicy:
    """The version in force. ``digest``: SHA-256 hex of text and tests."""

    version_id: UUID
    number: int
    text: str
    digest: str


@dataclass(frozen=True)
class Due:
    """A request whose clock has run out; ``run_id`` is None for changes."""

    workspace_id: UUID
    request_id: UUID
    run_id: UUID | None


@dataclass(frozen=True)
class QueueRow:
    """One request in the queue, as one person sees it.

    ``refusal`` says why this person may not sign; None where they may. ``signed`` counts the
    seats that signatures which count now fill, of ``needed``. ``mine``: handed to this person;
    ``ours``: to a group of theirs.
    """

    request: ApprovalRequest
    signed: int
    needed: int
    refusal: Refusal | None
    left: timedelta
    mine: bool
    ours: bool


@dataclass(frozen=True)
class CountedVote:
    """A vote, and whether it would count if the request were completed now."""

    vote: Vote
    counts: bool


@dataclass(frozen=True)
class RequestDetail:
    """All that the card shows of a request beside ``request.displayed``.

    ``missing``: signatures that nobody is left to give. ``takes_part``, ``hands_on``: whether the
    viewer may ask about it and edit it, and may hand it to others.
    """

    request: ApprovalRequest
    requirement: tuple[approvals.Seat, ...]
    votes: tuple[CountedVote, ...]
    events: tuple[ApprovalEvent, ...]
    signed: int
    needed: int
    refusal: Refusal | None
    approval: Approval | None
    superseded_by: UUID | None
    missing: int = 0
    takes_part: bool = False
    hands_on: bool = False


@dataclass(frozen=True)
class VersionRow:
    """A policy version and where it stands."""

    version: PolicyVersion
    active: bool
    activated: datetime | None
    open_request: UUID | None


def active_policy(workspace_id: UUID) -> ActivePolicy:
    """The version that decides now.

    Raises:
        NotFound: the workspace has none; nothing may be decided without one.
    """
    version = wire.call(connection, "SELECT countersign_policy($1)", [wire.uuid(workspace_id)])
    if version is None:
        raise NotFound("This workspace has no active policy.")
    return _version(workspace_id, UUID(bytes=version))


def was_in_force(workspace_id: UUID, version_id: UUID) -> bool:
    """Whether a version is in force or was at any time."""
    with in_workspace(workspace_id):
        return PolicyActivation.objects.filter(version_id=version_id).exists()


@lru_cache(maxsize=256)
def _version(workspace_id: UUID, version_id: UUID) -> ActivePolicy:
    """A version's row never changes, so its text is read once per process."""
    with in_workspace(workspace_id):
        version = PolicyVersion.objects.get(id=version_id, workspace_id=workspace_id)
    return ActivePolicy(version.id, version.number, version.text, version.digest)


def is_due(request: ApprovalRequest, now: datetime) -> bool:
    """Whether a clock of this request has run out without its having been used."""
    if request.state in OPEN_STATES:
        return now > request.sign_by
    if request.state == ApprovalState.APPROVED and now > request.execute_by:
        return not Approval.objects.filter(request=request, consumed_at__isnull=False).exists()
    return False


def approvals_due(now: datetime) -> list[Due]:
    """Requests to expire, over all workspaces; each workspace is read in its own transaction."""
    open_late = Q(state__in=OPEN_STATES, sign_by__lt=now)
    unused = Q(approval__consumed_at__isnull=True, execute_by__lt=now)
    found = []
    for workspace_id in workspace_ids():
        with in_workspace(workspace_id):
            rows = ApprovalRequest.objects.filter(
                open_late | Q(state=ApprovalState.APPROVED) & unused
            ).values_list("id", "run_id")
            found += [Due(workspace_id, request_id, run_id) for request_id, run_id in rows]
    return found


def approvals_outdated() -> list[Due]:
    """Open requests that another policy version asked for than the one in force, everywhere.

    Signatures for them would be for nothing: at use the version is looked at.
    """
    latest = PolicyActivation.objects.order_by("-sequence").values("version_id")[:1]
    found = []
    for workspace_id in workspace_ids():
        with in_workspace(workspace_id):
            rows = (
                ApprovalRequest.objects.filter(state__in=OPEN_STATES)
                .exclude(policy_version_id=Subquery(latest))
                .values_list("id", "run_id")
            )
            found += [Due(workspace_id, request_id, run_id) for request_id, run_id in rows]
    return found


def workspace_ids() -> list[UUID]:
    """Every workspace of this installation."""
    model = apps.get_model("accounts", "Workspace")
    return list(model._default_manager.values_list("id", flat=True))


def queue(
    workspace_id: UUID, user_id: str, now: datetime, states: Sequence[str] = tuple(OPEN_STATES)
) -> list[QueueRow]:
    """Requests in ``states``, the highest tier first, within a tier the first to expire.

    Those this person may not sign are there too and say why.
    """
    with in_workspace(workspace_id):
        people = OnePage(directory())
        viewer = standing.voter(user_id, workspace_id, people)
        requests = _complete(ApprovalRequest.objects.filter(state__in=states)).order_by(
            "-tier", "sign_by", "id"
        )
        return [_queue_row(request, viewer, people, now) for request in requests]


def request_detail(
    workspace_id: UUID, request_id: UUID, user_id: str, now: datetime
) -> RequestDetail | None:
    """One request as one person sees it; None where the workspace has no such request."""
    with in_workspace(workspace_id):
        request = _complete(ApprovalRequest.objects.filter(id=request_id)).first()
        if request is None:
            return None
        people = OnePage(directory())
        viewer = standing.voter(user_id, workspace_id, people)
        newer = ApprovalRequest.objects.filter(supersedes=request).values_list("id", flat=True)
        requirement = approvals.parse_requirement(request.requirement)
        view = standing.standing(request, people)
        takes_part = standing.takes_part(request, viewer, now)
        return RequestDetail(
            request=request,
            requirement=requirement,
            votes=tuple(
                CountedVote(vote, standing.counts(request, vote, people))
                for vote in sorted(request.votes.all(), key=lambda vote: vote.created)
            ),
            events=tuple(request.events.all()),
            signed=_signed(request, people),
            needed=approvals.needed(requirement),
            refusal=approvals.may_sign(view, viewer, now),
            approval=Approval.objects.filter(request=request).first(),
            superseded_by=newer.first(),
            missing=standing.missing(request, people, now) if request.state in OPEN_STATES else 0,
            takes_part=takes_part,
            hands_on=takes_part and approvals.may_count(view, viewer) is None,
        )


def requests(
    workspace_id: UUID, *, run_id: UUID | None = None, states: Sequence[str] = ()
) -> list[ApprovalRequest]:
    """Requests of a run or in ``states``; open ones where neither is given.

    Oldest first, with votes and events at hand; the newest `MOST_REQUESTS` where there are more.
    """
    wanted = states if states or run_id is not None else tuple(OPEN_STATES)
    with in_workspace(workspace_id):
        found = _complete(ApprovalRequest.objects.all())
        if run_id is not None:
            found = found.filter(run_id=run_id)
        if wanted:
            found = found.filter(state__in=wanted)
        return list(found.order_by("-created", "-id")[:MOST_REQUESTS])[::-1]


def request(workspace_id: UUID, request_id: UUID) -> ApprovalRequest | None:
    """One request with votes and events at hand; None where the workspace has no such request."""
    with in_workspace(workspace_id):
        return _complete(ApprovalRequest.objects.filter(id=request_id)).first()


def changes(
    workspace_id: UUID, *, states: Sequence[str] = (), after: str = "", limit: int = 50
) -> list[ApprovalRequest]:
    """Requests for changes, newest first, with their votes and what became of them.

    ``after``: `place` of the last one of the page before.
    """
    with in_workspace(workspace_id):
        found = _complete(ApprovalRequest.objects.filter(kind=Kind.CHANGE))
        if states:
            found = found.filter(state__in=states)
        if after:
            moment, _, last = after.partition(" ")
            at = datetime.fromisoformat(moment)
            found = found.filter(Q(created__lt=at) | Q(created=at, id__lt=UUID(last)))
        rows = found.select_related("approval").order_by("-created", "-id")
        return list(rows[:limit])


def change(workspace_id: UUID, request_id: UUID) -> ApprovalRequest | None:
    """One request for a change; None where the workspace has no such one."""
    with in_workspace(workspace_id):
        found = ApprovalRequest.objects.filter(id=request_id, kind=Kind.CHANGE)
        return _complete(found).select_related("approval").first()


def place(request: ApprovalRequest) -> str:
    """Where a request stands in a list by time."""
    return f"{request.created.isoformat(timespec='microseconds')} {request.id}"


def last_alike(workspace_id: UUID, likeness: str, *, used: bool) -> ApprovalRequest | None:
    """The newest approved request of this likeness, with its votes and its approval.

    ``used``: only one whose approval was used.
    """
    with in_workspace(workspace_id):
        found = ApprovalRequest.objects.filter(
            workspace_id=workspace_id, likeness=likeness, state=ApprovalState.APPROVED
        ).exclude(likeness="")
        if used:
            found = found.filter(approval__consumed_at__isnull=False)
        whole = found.select_related("approval").prefetch_related("votes")
        return whole.order_by("-created", "-id").first()


def eligible(workspace_id: UUID, request_id: UUID, now: datetime) -> list[Person]:
    """Everyone who may sign this request now, by name; nobody where there is no such request."""
    with in_workspace(workspace_id):
        found = _complete(ApprovalRequest.objects.filter(id=request_id)).first()
        return [] if found is None else standing.eligible(found, OnePage(directory()), now)


def eligible_groups(workspace_id: UUID, request_id: UUID, now: datetime) -> dict[str, list[Person]]:
    """Reviewers' groups of which somebody may sign this request now, with those people."""
    with in_workspace(workspace_id):
        found = _complete(ApprovalRequest.objects.filter(id=request_id)).first()
        return {} if found is None else standing.groups(found, OnePage(directory()), now)


def decisions_of_run(workspace_id: UUID, run_id: UUID) -> list[DecisionRecord]:
    """Every decision on a run in the order it was made."""
    with in_workspace(workspace_id):
        decisions = DecisionRecord.objects.filter(run_id=run_id).select_related("policy_version")
        return list(decisions.order_by("created", "step", "call_seq", "id"))


def decision(workspace_id: UUID, decision_id: UUID) -> DecisionRecord | None:
    """One stored decision; None where the workspace has no such decision."""
    with in_workspace(workspace_id):
        rows = DecisionRecord.objects.filter(id=decision_id)
        return rows.select_related("policy_version").first()


def policy_versions(workspace_id: UUID) -> list[VersionRow]:
    """All versions, newest first."""
    with in_workspace(workspace_id):
        activations = PolicyActivation.objects.order_by("sequence")
        latest = {row.version_id: row.created for row in activations}
        active = next((row.version_id for row in reversed(activations)), None)
        waiting = {
            request.binding.get("version_id"): request.id
            for request in ApprovalRequest.objects.filter(
                kind="change", state__in=[*OPEN_STATES, ApprovalState.APPROVED]
            ).filter(approval__consumed_at__isnull=True)
        }
        return [
            VersionRow(
                version=version,
                active=version.id == active,
                activated=latest.get(version.id),
                open_request=waiting.get(str(version.id)),
            )
            for version in PolicyVersion.objects.order_by("-number")
        ]


def policy_version(workspace_id: UUID, number: int) -> PolicyVersion | None:
    """One version by its number; None where the workspace has no such version."""
    with in_workspace(workspace_id):
        return PolicyVersion.objects.filter(number=number).first()


def versions_numbered(workspace_id: UUID, marks: Collection[str]) -> dict[str, int]:
    """The number of the policy version that each id or digest stands for, as far as there is one.

    Versions may have the same content, and so one digest: the first that had it is named.
    """
    ids = [mark for mark in marks if "-" in mark]
    digests = [mark for mark in marks if "-" not in mark]
    with in_workspace(workspace_id):
        rows = PolicyVersion.objects.filter(Q(id__in=ids) | Q(digest__in=digests))
        found = list(rows.order_by("-number").values_list("id", "digest", "number"))
    marked = {mark: number for key, digest, number in found for mark in (str(key), digest)}
    return {mark: number for mark, number in marked.items() if mark in marks}


def policy_diff(old: str, new: str) -> list[str]:
    """Unified difference of two texts, line by line, without the two lines of file names."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))
    # By position: a changed line may itself begin like a file name, and must not be hidden.
    return lines[2:]


def _complete(requests: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    return requests.select_related(
        "workspace", "policy_version", "assignee", "decision"
    ).prefetch_related("votes", "events")


def _queue_row(
    request: ApprovalRequest, viewer: approvals.Voter, people: Directory, now: datetime
) -> QueueRow:
    return QueueRow(
        request=request,
        signed=_signed(request, people),
        needed=approvals.needed(approvals.parse_requirement(request.requirement)),
        refusal=approvals.may_sign(standing.standing(request, people), viewer, now),
        left=max(request.sign_by - now, timedelta(0)),
        mine=str(request.assignee_id) == viewer.id,
        ours=request.assignee_role in viewer.roles,
    )


def _signed(request: ApprovalRequest, people: Directory) -> int:
    view = standing.standing(request, people)
    counted = approvals.counted(view, standing.signatures(request, people))
    return approvals.seats_filled(view.requirement, [item.voter.roles for item in counted])
