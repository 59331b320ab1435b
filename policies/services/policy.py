"""The life of a policy set: draft, submit, second officer, active."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.db.models import Max

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import selectors
from policies.directory import directory
from policies.engine import compile_policy
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.facts.record import ToolSpec
from policies.models import ApprovalRequest, Kind, PolicyActivation, PolicySet, PolicyVersion
from policies.services.approval import approval_consume
from policies.services.change import OFFICER, Change, change_request, is_changeable

STARTER = Path(__file__).resolve().parents[1] / "starter" / "starter.cedar"
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
        version = _store(policies, actor, STARTER.read_text(), [], "Starter policy", ())
        return _activate(policies, version, None, actor)


def policy_draft(
    *,
    workspace_id: UUID,
    author: Actor,
    text: str,
    tests: Sequence[Mapping[str, JSON]] = (),
    note: str = "",
    tools: Sequence[ToolSpec] = (),
) -> PolicyVersion | Refusal:
    """Store a new immutable version; it decides nothing until it is submitted and signed.

    ``tools``: those of the workspace, against which the text is checked.

    Raises:
        PolicyError: the text cannot be used; the message names the line.
    """
    with in_workspace(workspace_id):
        refusal = _not_officer(workspace_id, author)
        if refusal is not None:
            return _refuse(workspace_id, author, "draft", refusal)
        return _store(_locked_set(workspace_id), author, text, tests, note, tools)


def policy_submit(
    *,
    workspace_id: UUID,
    version_id: UUID,
    submitter: Actor,
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> ApprovalRequest | Refusal:
    """Ask another officer to sign a version; its author and the submitter may not.

    An older version may be submitted again: that is how one rolls back. ``tools``: those of the
    workspace.

    Raises:
        NotFound: no such version in this workspace.
        PolicyError: the version does not fit these tools any more.
    """
    with in_workspace(workspace_id):
        version = _version(version_id)
        active = selectors.active_policy(workspace_id)
        refusal = _not_officer(workspace_id, submitter)
        if refusal is None and active.version_id == version.id:
            refusal = Refusal(Reason.STATE, "This version is already active.")
        if refusal is None and not is_changeable(
            text=version.text, requester=submitter, now=now, tools=tools
        ):
            refusal = Refusal(Reason.POLICY, "With this version no policy could be changed again.")
        if refusal is not None:
            return _refuse(workspace_id, submitter, "submit", refusal)
        change = Change(
            kind="policy",
            title=f"{submitter.name} wants policy version {version.number} to replace"
            f" version {active.number}.",
            notice=f"Policy version {version.number} waits for a second officer.",
            tier=TIER,
            binding=_binding(version),
            displayed=_displayed(version, active),
            barred=[] if version.author_id is None else [str(version.author_id)],
        )
        return change_request(
            workspace_id=workspace_id, requester=submitter, change=change, now=now, tools=tools
        )


def policy_activate(
    *, workspace_id: UUID, request_id: UUID, actor: Actor, now: datetime
) -> PolicyActivation | Refusal:
    """Put a signed version in force, using up its approval.

    Refused when another version became active since it was signed: what the second officer saw
    is not what would change.

    Raises:
        NotFound: no such request in this workspace.
        InvalidRequest: the request is not about a policy version (the caller's fault).
    """
    with in_workspace(workspace_id):
        version = _version_of(request_id)
        refusal = _not_officer(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "activate", refusal)
        # First, and exclusively: raising the shared lock of a use later would deadlock two of us.
        policies = _locked_set(workspace_id)
        used = approval_consume(
            workspace_id=workspace_id,
            request_id=request_id,
            binding=_binding(version),
            consumer=f"{actor.type}:{actor.id}",
            now=now,
        )
        if isinstance(used, Refusal):
            return used
        return _activate(policies, version, used.request_id, actor)


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


def _not_officer(workspace_id: UUID, actor: Actor) -> Refusal | None:
    if actor.type == "user" and OFFICER in directory().roles(actor.id, workspace_id):
        return None
    return Refusal(Reason.ROLE, "Only policy officers may change policies.")


def _store(
    policies: PolicySet,
    author: Actor,
    text: str,
    tests: Sequence[Mapping[str, JSON]],
    note: str,
    tools: Sequence[ToolSpec],
) -> PolicyVersion:
    compile_policy(text, tools=tools)
    cases = [dict(case) for case in tests]
    last = policies.versions.aggregate(last=Max("number"))["last"] or 0
    version = PolicyVersion.objects.create(
        workspace_id=policies.workspace_id,
        policy_set=policies,
        number=last + 1,
        text=text,
        tests=cases,
        digest=canonical.digest({"text": text, "tests": cases}),
        note=note,
        author_id=UUID(author.id) if author.type == "user" else None,
        author_name=author.name,
    )
    draft = Draft("policy.drafted", author, _subject(version), payloads={"text": text})
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


def _displayed(version: PolicyVersion, active: selectors.ActivePolicy) -> dict[str, JSON]:
    return {
        "from": {"number": active.number, "digest": active.digest},
        "to": {"number": version.number, "digest": version.digest},
        "text": version.text,
        "tests": version.tests,
        "note": version.note,
        "author": version.author_name,
        "difference": selectors.policy_diff(active.text, version.text),
    }


def _subject(version: PolicyVersion) -> Subject:
    return Subject("policy_version", str(version.id), str(version.number))


def _refuse(workspace_id: UUID, actor: Actor, attempt: str, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": attempt}
    subject = Subject("policy_set", str(workspace_id))
    record(workspace_id, [Draft("policy.refused", actor, subject, detail=detail)])
    return refusal
