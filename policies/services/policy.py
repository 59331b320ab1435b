"""The life of a policy set: draft, tests, submit, second officer, active.

Versions never change: an edit is a new version that names the one it was made from. A version is
submitted only when it is ready (policies/readiness.py), and looked at again when it takes effect:
tools may have been registered since.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Max

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import life, selectors
from policies.cases import MAX_CASES
from policies.directory import directory
from policies.engine import PolicyError, compile_policy
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.facts.record import ToolSpec
from policies.forms import pieces
from policies.models import (
    ApprovalRequest,
    Kind,
    PolicyActivation,
    PolicySet,
    PolicySimulation,
    PolicyVersion,
)
from policies.readiness import MAX_INVARIANTS, Readiness
from policies.services.approval import approval_consume, locked
from policies.services.change import OFFICER, Change, change_request, is_changeable
from policies.standing import SERVICE
from policies.starter import starter_tests, starter_text
from policies.tools import registered

CHANGE = "policy.activate"
TIER = 4


def policy_install_starter(*, workspace_id: UUID, actor: Actor) -> PolicyActivation:
    """Put the starter policy in force in a workspace that has none; otherwise change nothing.

    The only activation without a second officer: there is nobody yet to ask.
    """
    with in_workspace(workspace_id):
        PolicySet.objects.get_or_create(workspace_id=workspace_id)
        policies = _locked_set(workspace_id)
        present = policies.activations.order_by("-sequence").first()
        if present is not None:
            return present
        compile_policy(starter_text(), tools=())
        version = _store(
            policies, actor, starter_text(), starter_tests(), (), "Starter policy", None
        )
        return _activate(policies, version, None, actor)


def policy_draft(
    *,
    workspace_id: UUID,
    author: Actor,
    text: str | None = None,
    tests: Sequence[Mapping[str, JSON]] | None = None,
    invariants: Sequence[str] | None = None,
    note: str = "",
    tools: Sequence[ToolSpec] = (),
    parent_id: UUID | None = None,
) -> PolicyVersion | Refusal:
    """Store a new immutable version; it decides nothing until it is submitted and signed.

    What is not given is as in the parent: the version with ``parent_id``, or else the one in
    force. From a version that was in force earlier the invariants are those of now: going back to
    old rules takes no promise back. ``tools``: those of the workspace.

    Raises:
        NotFound: no such parent in this workspace.
        PolicyError: the text cannot be used; the message names the rule or line.
    """
    with in_workspace(workspace_id):
        refusal = not_proposer(workspace_id, author)
        if refusal is not None:
            return refuse(workspace_id, author, "draft", refusal)
        policies = _locked_set(workspace_id)
        active = life.active_version(workspace_id)
        parent = active if parent_id is None else _version(parent_id)
        was_in_force = policies.activations.filter(version=parent).exists()
        if invariants is None:
            invariants = (active if was_in_force else parent).invariants
        text = parent.text if text is None else text
        tests = parent.tests if tests is None else tests
        if len(tests) > MAX_CASES or len(invariants) > MAX_INVARIANTS:
            raise PolicyError(f"at most {MAX_CASES} tests and {MAX_INVARIANTS} invariants")
        compile_policy(text, tools=tools)
        return _store(policies, author, text, tests, invariants, note, parent)


def policy_submit(
    *,
    workspace_id: UUID,
    version_id: UUID,
    submitter: Actor,
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> ApprovalRequest | Refusal:
    """Ask another officer to sign a version; neither its authors nor the submitter may.

    Refused while it has no required test, a test fails, or an invariant is broken. An older version
    may be submitted again: that is how one rolls back. ``tools``: those of the workspace.

    Raises:
        NotFound: no such version in this workspace.
        PolicyError: the version does not fit these tools any more.
    """
    with in_workspace(workspace_id):
        version = _version(version_id)
        active = life.active_version(workspace_id)
        ready = life.standing_of(workspace_id, version, tools)
        refusal = not_proposer(workspace_id, submitter) or _unfit(
            version, active, ready, submitter, now, tools
        )
        if refusal is not None:
            return refuse(workspace_id, submitter, "submit", refusal, version)
        change = Change(
            kind="policy",
            title=f"{submitter.name} wants policy version {version.number} to replace"
            f" version {active.number}.",
            notice=f"Policy version {version.number} waits for a second officer.",
            tier=TIER,
            binding=_binding(version),
            displayed=_displayed(
                version, active, ready, life.simulations(workspace_id, version.id)
            ),
            barred=life.authors(workspace_id, version),
        )
        return change_request(
            workspace_id=workspace_id, requester=submitter, change=change, now=now, tools=tools
        )


def policy_activate(
    *, workspace_id: UUID, request_id: UUID, actor: Actor, now: datetime
) -> PolicyActivation | Refusal:
    """Put a signed version in force, using up its approval, at an officer's word.

    Refused when another version became active since it was signed: what the second officer saw
    is not what would change.

    Raises:
        NotFound: no such request in this workspace.
        InvalidRequest: the request is not about a policy version (the caller's fault).
    """
    with in_workspace(workspace_id):
        version = _version_of(request_id)
        refusal = not_officer(workspace_id, actor)
        if refusal is not None:
            return refuse(workspace_id, actor, "activate", refusal, version)
        return _put_in_force(workspace_id, locked(request_id), version, actor, now)


def policy_apply(*, workspace_id: UUID, request: ApprovalRequest, now: datetime) -> Refusal | None:
    """Put a version in force when its last signature is given; the request's row is locked."""
    actor = Actor(request.requester_type, request.requester_id, request.requester_name)
    with in_workspace(workspace_id):
        version = _version_of(request.id)
        done = _put_in_force(workspace_id, request, version, actor, now)
        return done if isinstance(done, Refusal) else None


def _put_in_force(
    workspace_id: UUID,
    request: ApprovalRequest,
    version: PolicyVersion,
    actor: Actor,
    now: datetime,
) -> PolicyActivation | Refusal:
    # Exclusively: raising the shared lock of a use later would deadlock two of us.
    policies = _locked_set(workspace_id)
    refusal = _unfit_today(workspace_id, version)
    if refusal is not None:
        return refuse(workspace_id, actor, "activate", refusal, version)
    used = approval_consume(
        workspace_id=workspace_id,
        request_id=request.id,
        binding=_binding(version),
        consumer=f"{actor.type}:{actor.id}",
        now=now,
    )
    if isinstance(used, Refusal):
        return used
    return _activate(policies, version, used.request_id, actor)


def _unfit(
    version: PolicyVersion,
    active: PolicyVersion,
    ready: Readiness,
    submitter: Actor,
    now: datetime,
    tools: Sequence[ToolSpec],
) -> Refusal | None:
    """Why a version cannot be submitted; None where it can."""
    if active.id == version.id:
        return Refusal(Reason.STATE, "This version is already active.")
    if ready.problem:
        raise PolicyError(ready.problem)
    if not is_changeable(text=version.text, requester=submitter, now=now, tools=tools):
        return Refusal(Reason.POLICY, "With this version no policy could be changed again.")
    if ready.obstacles:
        return Refusal(Reason.NOT_READY, " ".join(ready.obstacles))
    return None


def _unfit_today(workspace_id: UUID, version: PolicyVersion) -> Refusal | None:
    """Why a signed version may not take effect with the tools that are registered by now."""
    ready = life.standing_of(workspace_id, version, registered(workspace_id))
    told = ready.problem or " ".join(ready.obstacles)
    return Refusal(Reason.NOT_READY, f"It cannot take effect any more: {told}") if told else None


def _locked_set(workspace_id: UUID) -> PolicySet:
    """The workspace's set, its row locked: versions and activations are numbered under it."""
    policies = PolicySet.objects.select_for_update().filter(workspace_id=workspace_id).first()
    if policies is None:
        raise NotFound("This workspace has no policy set; install the starter policy first.")
    return policies


def _version(version_id: UUID) -> PolicyVersion:
    version = PolicyVersion.objects.filter(id=version_id).first()
    if version is None:
        raise NotFound("There is no such policy version in this workspace.")
    return version


def _version_of(request_id: UUID) -> PolicyVersion:
    request = ApprovalRequest.objects.filter(id=request_id).first()
    if request is None:
        raise NotFound("There is no such approval request in this workspace.")
    if request.kind != Kind.CHANGE or request.binding.get("change") != CHANGE:
        raise InvalidRequest("This request is not about a policy version.")
    return _version(UUID(request.binding["version_id"]))


def not_proposer(workspace_id: UUID, actor: Actor) -> Refusal | None:
    """Why this actor may not write, try and submit versions; signing is for officers only.

    Of a program the door has checked that its token is good for changes.
    """
    return None if actor.type == SERVICE else not_officer(workspace_id, actor)


def not_officer(workspace_id: UUID, actor: Actor) -> Refusal | None:
    if actor.type == "user" and OFFICER in directory().roles(actor.id, workspace_id):
        return None
    return Refusal(Reason.ROLE, "Only policy officers may change policies.")


def _store(
    policies: PolicySet,
    author: Actor,
    text: str,
    tests: Sequence[Mapping[str, JSON]],
    invariants: Sequence[str],
    note: str,
    parent: PolicyVersion | None,
) -> PolicyVersion:
    cases = [dict(case) for case in tests]
    content: dict[str, JSON] = {"text": text, "tests": list(cases)}
    if invariants:
        content["invariants"] = list(invariants)
    last = policies.versions.aggregate(last=Max("number"))["last"] or 0
    version = PolicyVersion.objects.create(
        workspace_id=policies.workspace_id,
        policy_set=policies,
        number=last + 1,
        text=text,
        tests=cases,
        invariants=list(invariants),
        digest=canonical.digest(content),
        note=note[:200],
        author_id=UUID(author.id) if author.type == "user" else None,
        author_account=author.id if author.type == SERVICE else "",
        author_name=author.name,
        parent=parent,
    )
    detail: dict[str, JSON] = {} if parent is None else {"parent": parent.number}
    draft = Draft(
        "policy.drafted", author, _subject(version), detail=detail, payloads={"text": text}
    )
    record(policies.workspace_id, [draft])
    return version


def _activate(
    policies: PolicySet, version: PolicyVersion, request_id: UUID | None, actor: Actor
) -> PolicyActivation:
    last = policies.activations.aggregate(last=Max("sequence"))["last"] or 0
    activation = PolicyActivation.objects.create(
        workspace_id=policies.workspace_id,
        policy_set=policies,
        sequence=last + 1,
        version=version,
        request_id=request_id,
        actor_name=actor.name,
    )
    detail: dict[str, JSON] = {"digest": version.digest, "sequence": activation.sequence}
    if request_id is not None:
        detail["request"] = str(request_id)
    draft = Draft("policy.activated", actor, _subject(version), detail=detail)
    record(policies.workspace_id, [draft])
    return activation


def _binding(version: PolicyVersion) -> dict[str, JSON]:
    return {"change": CHANGE, "version_id": str(version.id), "digest": version.digest}


def _displayed(
    version: PolicyVersion,
    active: PolicyVersion,
    ready: Readiness,
    simulations: Sequence[PolicySimulation],
) -> dict[str, JSON]:
    added = [text for text in version.invariants if text not in active.invariants]
    removed = [text for text in active.invariants if text not in version.invariants]
    said = {kept.id: kept.sentence for kept in ready.invariants}
    shown: dict[str, JSON] = {
        "from": {"number": active.number, "digest": active.digest},
        "to": {"number": version.number, "digest": version.digest},
        "text": version.text,
        "note": version.note,
        "author": version.author_name,
        "difference": list(selectors.policy_diff(active.text, version.text)),
        "readiness": ready.to_json(),
        "promises": {
            "added": added,
            "removed": removed,
            "added_said": [said.get(piece.id, "") for text in added for piece in pieces(text)],
            "removed_said": [said.get(piece.id, "") for text in removed for piece in pieces(text)],
        },
    }
    ended = (one for one in simulations if one.state == PolicySimulation.State.DONE)
    done = next((one for one in ended if not one.problem), None)
    if done is not None:
        shown["simulation"] = {"id": str(done.id), "days": done.days, "total": done.total,
                               "counts": done.counts, "changes": done.changes[:10]}  # fmt: skip
    return shown


def _subject(version: PolicyVersion) -> Subject:
    return Subject("policy_version", str(version.id), str(version.number))


def refuse(
    workspace_id: UUID,
    actor: Actor,
    attempt: str,
    refusal: Refusal,
    version: PolicyVersion | None = None,
) -> Refusal:
    detail: dict[str, JSON] = {"reason": refusal.reason.value, "attempt": attempt}
    if version is not None:
        detail["version"] = version.number
    subject = Subject("policy_set", str(workspace_id))
    record(workspace_id, [Draft("policy.refused", actor, subject, detail=detail)])
    return refusal
