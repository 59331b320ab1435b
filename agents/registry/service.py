"""Makes versions of models, tools and agents: the only writer of their tables.

A workspace's first registration is its set-up and comes from the command line: there is nobody yet
to ask. Every later one is a change that somebody proposes and someone else signs (`proposal`).
Registering is idempotent: the same content again changes nothing, other content makes the next
version. All of a file is registered in one transaction, or nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection
from django.db.models import Max

from agents.errors import Refused
from agents.models import (
    Agent,
    AgentTool,
    AgentVersion,
    ModelEndpoint,
    Registration,
    Tool,
    ToolVersion,
)
from agents.registry.plan import AGENT, MODEL, TOOL, Plan, Planned, plan
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import cases, invariants
from policies.engine import PolicyError, compile_policy
from policies.facts.record import ToolSpec
from policies.life import active_version

SYSTEM = "system"


@dataclass
class Registered:
    """What registering a file did, as lines for whoever ran it."""

    made: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def register(
    *,
    workspace_id: UUID,
    text: str,
    actor: Actor,
    documents: Mapping[str, str] | None = None,
) -> Registered:
    """Register everything a file names, as the first registration of a workspace.

    A file that changes nothing is welcome at any time.

    Args:
        documents: text of the OpenAPI documents that it names, by file name.

    Raises:
        Refused: the file is not right, every fault named with its line; or the workspace is set up
            and the file would change it. Nothing is registered.
    """
    with in_workspace(workspace_id):
        hold_registry(workspace_id)
        planned = plan(text, documents)
        if planned.versions:
            require_fit(workspace_id, planned)
            if actor.type != SYSTEM or is_set_up(workspace_id):
                raise Refused(
                    "This workspace is set up, so a change of what is registered must be proposed "
                    "by one person and signed by another. Nothing was registered."
                )
            write(workspace_id=workspace_id, planned=planned, request_id=None, actor=actor)
    return Registered([str(version) for version in planned.versions], planned.unchanged)


def is_set_up(workspace_id: UUID) -> bool:
    """Whether anything was registered here before, so that a change needs a signature."""
    with in_workspace(workspace_id):
        return any(
            table.objects.filter(workspace_id=workspace_id).exists()
            for table in (Registration, ToolVersion, ModelEndpoint, AgentVersion)
        )


def hold_registry(workspace_id: UUID) -> None:
    """Let nobody else register in this workspace until the transaction ends.

    Two at once would both make "the next" version.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"registry:{workspace_id}"]
        )


def write(
    *, workspace_id: UUID, planned: Plan, request_id: UUID | None, actor: Actor
) -> Registration:
    """Make the versions of a plan. The caller holds the registry and has used up the approval."""
    last = Registration.objects.filter(workspace_id=workspace_id).aggregate(last=Max("number"))
    registration = Registration.objects.create(
        workspace_id=workspace_id,
        number=(last["last"] or 0) + 1,
        request_id=request_id,
        versions=planned.to_json(),
        registered_by=actor.name,
    )
    work = _Work(registration, actor)
    makers = {MODEL: work.endpoint, TOOL: work.tool, AGENT: work.agent}
    drafts = [
        _entry(version, makers[version.kind](version), registration, actor)
        for version in planned.versions
    ]
    record(workspace_id, drafts)
    return registration


def tool_specs(workspace_id: UUID | str) -> list[ToolSpec]:
    """The newest version of every tool, as facts and policies know it."""
    with in_workspace(UUID(str(workspace_id))):
        versions = ToolVersion.objects.select_related("tool").order_by("tool_id", "-number")
        return [spec_of(version) for version in versions.distinct("tool_id")]


def require_fit(workspace_id: UUID, planned: Plan) -> None:
    """Raise Refused where the policy in force would not do its work any more with these tools.

    It must be able to decide, since decisions fail closed: with tools that it does not fit,
    everything would be denied, another policy too. And it must keep its invariants: a tool that is
    registered anew with a lower tier may step out of the rules that kept them.
    """
    policy, tools = active_version(workspace_id), _tools_after(workspace_id, planned)
    try:
        compile_policy(policy.text, tools=tools)
        kept = invariants.check(policy.text, policy.invariants, tools=tools)
    except PolicyError as error:
        raise Refused(
            "The policy in force does not fit the tools as this file would make them, so that it "
            f"could decide nothing any more. Change the policy first, or the file: {error}"
        ) from error
    broken = [f"{one.id} ({one.sentence})" for one in kept if one.broken]
    if broken:
        raise Refused(
            "With the tools as this file would make them, the policy in force would break an "
            f"invariant. Change the policy first, or the file: {'; '.join(broken)}"
        )


def failing_tests(workspace_id: UUID, planned: Plan) -> list[str]:
    """Names of the required tests of the policy in force that would fail once a plan is made."""
    policy, tools = active_version(workspace_id), _tools_after(workspace_id, planned)
    found = cases.check(policy.tests, compile_policy(policy.text, tools=tools))
    return [test.name for test in found if not test.passed]


def _tools_after(workspace_id: UUID, planned: Plan) -> list[ToolSpec]:
    specs = {spec.name: spec for spec in tool_specs(workspace_id)}
    for version in planned.versions:
        if version.kind == TOOL:
            row = ToolVersion(**version.content, digest=version.digest)
            specs[version.name] = spec_of(row, version.name)
    return list(specs.values())


def spec_of(version: ToolVersion, name: str = "") -> ToolSpec:
    """A stored version as facts and policies know it; `name` for one that is not stored yet."""
    return ToolSpec(
        name=name or version.tool.name,
        version=version.digest,
        effect=version.effect,
        tier=version.tier,
        labels=frozenset(version.labels),
        roles=version.roles,
        parameters=version.parameters,
        idempotent=version.idempotent,
    )


@dataclass(frozen=True)
class _Work:
    """One registration in progress, inside its transaction."""

    registration: Registration
    actor: Actor

    def endpoint(self, version: Planned) -> UUID:
        made = ModelEndpoint.objects.create(
            name=version.name, registered_by=self.actor.name, **self._row(version)
        )
        return made.id

    def tool(self, version: Planned) -> UUID:
        workspace_id = self.registration.workspace_id
        tool, _ = Tool.objects.get_or_create(workspace_id=workspace_id, name=version.name)
        made = ToolVersion.objects.create(tool=tool, **self._author(), **self._row(version))
        return made.id

    def agent(self, version: Planned) -> UUID:
        workspace_id = self.registration.workspace_id
        agent, _ = Agent.objects.get_or_create(workspace_id=workspace_id, name=version.name)
        endpoints = ModelEndpoint.objects.filter(digest=version.uses["model"])
        made = AgentVersion.objects.create(
            agent=agent,
            endpoint=endpoints.order_by("-number")[0],
            **self._author(),
            **self._row(version),
        )
        AgentTool.objects.bulk_create(
            AgentTool(
                workspace_id=workspace_id,
                agent_version=made,
                tool_version=ToolVersion.objects.filter(tool__name=name, digest=digest).order_by(
                    "-number"
                )[0],
            )
            for name, digest in version.uses["tools"].items()
        )
        return made.id

    def _row(self, version: Planned) -> dict[str, object]:
        return {
            "workspace_id": self.registration.workspace_id,
            "registration": self.registration,
            "number": version.number,
            "digest": version.digest,
            **version.content,
        }

    def _author(self) -> dict[str, str]:
        by_account = self.actor.type != SYSTEM
        return {
            "registered_by": self.actor.name,
            **({"author_id": self.actor.id} if by_account else {}),
        }


def _entry(version: Planned, key: UUID, registration: Registration, actor: Actor) -> Draft:
    signed = {"request": str(registration.request_id)} if registration.request_id else {}
    return Draft(
        action=f"{version.kind}.registered",
        actor=actor,
        subject=Subject(version.kind, str(key), version.digest),
        detail={"name": version.name, "number": version.number, **signed},
    )
