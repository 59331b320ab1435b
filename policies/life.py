"""What doors read of the life of a policy set: a version and how it stands, its simulations.

Selectors, like `policies.selectors`; each opens ``in_workspace`` and returns what is complete.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from audit.transactions import in_workspace
from policies.directory import directory
from policies.engine import Requirement
from policies.errors import NotFound
from policies.facts.record import ToolSpec
from policies.models import (
    DecisionRecord,
    PolicyActivation,
    PolicySimulation,
    PolicyVersion,
)
from policies.readiness import Content, Readiness, readiness
from policies.simulation import Past

PAGE = 1000
_PAST_FIELDS = ("id", "run_id", "step", "action", "outcome", "rules", "request", "created")


@dataclass(frozen=True)
class PastDecision(Past):
    """A past decision with where it was made; `key` is its id."""

    run: UUID | None = None
    step: int | None = None
    created: datetime | None = None


def content(version: PolicyVersion) -> Content:
    """What a version consists of."""
    return Content(version.text, tuple(version.tests), tuple(version.invariants))


def active_version(workspace_id: UUID) -> PolicyVersion:
    """The row of the version in force.

    Raises:
        NotFound: the workspace has none.
    """
    with in_workspace(workspace_id):
        latest = PolicyActivation.objects.select_related("version").order_by("-sequence").first()
        if latest is None:
            raise NotFound("This workspace has no active policy.")
        return latest.version


def standing_of(workspace_id: UUID, version: PolicyVersion, tools: Sequence[ToolSpec]) -> Readiness:
    """How a version stands beside the one in force."""
    return readiness(content(version), content(active_version(workspace_id)), tools=tools)


def authors(workspace_id: UUID, version: PolicyVersion) -> list[str]:
    """Ids of everyone who wrote what this version brings, back to the last one in force.

    For a program the people behind it count.
    """
    found: list[str] = []
    with in_workspace(workspace_id):
        in_force = set(PolicyActivation.objects.values_list("version_id", flat=True))
        at: PolicyVersion | None = version
        while at is not None and (at is version or at.id not in in_force):
            wrote = {str(at.author_id)} if at.author_id is not None else set()
            if at.author_account:
                wrote = {at.author_account, *directory().behind(at.author_account)}
            found += sorted(wrote - set(found))
            at = at.parent
    return found


def simulations(
    workspace_id: UUID, version_id: UUID | None = None, *, limit: int = 20
) -> list[PolicySimulation]:
    """Simulations, newest first."""
    with in_workspace(workspace_id):
        rows = PolicySimulation.objects.select_related("version").order_by("-requested", "-id")
        if version_id is not None:
            rows = rows.filter(version_id=version_id)
        return list(rows[:limit])


def simulation(workspace_id: UUID, simulation_id: UUID) -> PolicySimulation | None:
    """One simulation; None where the workspace has no such one."""
    with in_workspace(workspace_id):
        rows = PolicySimulation.objects.select_related("version")
        return rows.filter(id=simulation_id).first()


def decisions_since(workspace_id: UUID, since: datetime) -> int:
    """How many decisions were made since then."""
    with in_workspace(workspace_id):
        return DecisionRecord.objects.filter(created__gte=since).count()


def newest_decisions(workspace_id: UUID, *, limit: int = 20) -> list[DecisionRecord]:
    """The newest decision on runs of each kind and outcome, to make tests of."""
    with in_workspace(workspace_id):
        rows = DecisionRecord.objects.filter(run_id__isnull=False).order_by("-created", "-id")
        found: dict[tuple[str, str], DecisionRecord] = {}
        for row in rows.defer("facts")[: 20 * limit]:
            found.setdefault((row.action, row.outcome), row)
        return list(found.values())[:limit]


@dataclass(frozen=True)
class Trial:
    """What a rule that is only recorded met.

    Attributes:
        total: decisions in that time, on anything.
        counts: what was decided instead, in those for which the rule would have held.
        newest: the newest of those.
    """

    total: int
    counts: Mapping[str, int]
    newest: tuple[PastDecision, ...]

    @property
    def held(self) -> int:
        return sum(self.counts.values())


def trial(workspace_id: UUID, rule_id: str, since: datetime, *, limit: int = 50) -> Trial:
    """What has been recorded of a rule in shadow since then, whichever version had it so."""
    with in_workspace(workspace_id):
        rows = DecisionRecord.objects.filter(created__gte=since)
        held = rows.filter(rules__contains=[{"id": rule_id, "shadow": True}])
        counted = held.order_by("outcome").values_list("outcome").annotate(count=Count("id"))
        newest = held.order_by("-created", "-id").values_list(*_PAST_FIELDS)[:limit]
        return Trial(rows.count(), dict(counted), tuple(_past(row) for row in newest))


def past_decisions(workspace_id: UUID, since: datetime) -> Iterator[list[PastDecision]]:
    """Decisions since then in pages, newest first; a transaction for each page."""
    before = Q()
    while True:
        with in_workspace(workspace_id):
            rows = list(
                DecisionRecord.objects.filter(before, created__gte=since)
                .order_by("-created", "-id")
                .values_list(*_PAST_FIELDS)[:PAGE]
            )
        if not rows:
            return
        yield [_past(row) for row in rows]
        last_id, last_created = rows[-1][0], rows[-1][7]
        before = Q(created__lt=last_created) | Q(created=last_created, id__lt=last_id)


def signatures(rules: object) -> Requirement:
    """Who had to sign, and with what, by the rules as they were stored with a decision."""
    needed: dict[str, int] = {}
    factor = ""
    for rule in rules if isinstance(rules, list) else ():
        for role in () if rule.get("shadow") else rule.get("roles", ()):
            needed[role] = max(needed.get(role, 0), int(rule.get("quorum", 1)))
            factor = factor or str(rule.get("factor", ""))
    return Requirement(tuple(sorted(needed.items())), factor)


def _past(row: Sequence[object]) -> PastDecision:
    key, run, step, action, outcome, rules, request, created = row
    asked = signatures(rules)
    return PastDecision(
        key=key,
        action=str(action),
        outcome=str(outcome),
        requirement=asked.quorums,
        factor=asked.factor,
        request=request if isinstance(request, dict) else {},
        run=run if isinstance(run, UUID) else None,
        step=step if isinstance(step, int) else None,
        created=created if isinstance(created, datetime) else None,
    )
