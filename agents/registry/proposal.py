"""A change of what is registered: proposed by one person, signed by another, made once.

(1) The file is planned against what is registered now; the plan, with the whole content of every
version, is what is signed. (2) The active policy decides whether this person may ask, and who must
sign. (3) When enough have signed, the stored file is planned again; if the plan is not the signed
one, because anything it builds on has changed, the request is taken out of force. (4) The approval
is used up and the versions are made, in one transaction. Runs keep the versions they began with.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.errors import Refused
from agents.models import Registration
from agents.registry.plan import TOOL, Plan, Planned, differences, names_of, open_kinds, plan
from agents.registry.service import (
    failing_tests,
    hold_registry,
    require_fit,
    tool_specs,
    write,
)
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import services as policies
from policies.directory import directory
from policies.errors import Reason, Refusal
from policies.models import ApprovalRequest

CHANGE = "registry"
PROPOSERS = frozenset({"operator", "admin"})
TIER = 3
MAX_FILE_CHARS = 400_000
MAX_DOCUMENT_CHARS = 4_000_000


@dataclass(frozen=True)
class Proposal:
    """What a file would change; `request` is None where it changes nothing."""

    made: tuple[str, ...]
    unchanged: tuple[str, ...]
    request: ApprovalRequest | None


def propose(
    *,
    workspace_id: UUID,
    text: str,
    actor: Actor,
    now: datetime,
    documents: Mapping[str, str] | None = None,
) -> Proposal | Refusal:
    """Ask for everything in a file to be registered; nothing changes before it is signed.

    Args:
        documents: text of the OpenAPI documents that it names, by file name; they are signed too.

    Raises:
        Refused: the file is not right; names every fault with its line.
    """
    if len(text) > MAX_FILE_CHARS:
        raise Refused(f"The file is longer than {MAX_FILE_CHARS:,} characters.")
    beside = dict(documents or {})
    if sum(map(len, beside.values())) > MAX_DOCUMENT_CHARS:
        raise Refused(f"The documents have more than {MAX_DOCUMENT_CHARS:,} characters.")
    with in_workspace(workspace_id):
        refusal = _may_propose(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, refusal)
        planned = plan(text, beside)
        made = tuple(str(version) for version in planned.versions)
        if not made:
            return Proposal((), tuple(planned.unchanged), None)
        require_fit(workspace_id, planned)
        asked = policies.change_request(
            workspace_id=workspace_id,
            requester=actor,
            change=_change(workspace_id, text, planned, actor, beside),
            now=now,
            tools=tool_specs(workspace_id),
        )
        if isinstance(asked, Refusal):
            return asked
        return Proposal(made, tuple(planned.unchanged), asked)


def apply(*, workspace_id: UUID, request: ApprovalRequest, now: datetime) -> Refusal | None:
    """Make what was signed, using up its approval; called with the request's row locked."""
    actor = Actor(request.requester_type, request.requester_id, request.requester_name)
    text = str(request.binding.get("text", ""))
    documents = dict(request.binding.get("documents", {}))
    with in_workspace(workspace_id):
        hold_registry(workspace_id)
        try:
            planned = plan(text, documents)
            require_fit(workspace_id, planned)
        except Refused:
            planned = Plan()
        used = policies.approval_consume(
            workspace_id=workspace_id,
            request_id=request.id,
            binding=binding(text, planned, documents),
            consumer="registry",
            now=now,
        )
        if isinstance(used, Refusal):
            return used
        write(workspace_id=workspace_id, planned=planned, request_id=request.id, actor=actor)
        return None


def binding(text: str, planned: Plan, documents: Mapping[str, str]) -> dict[str, Any]:
    """All that is signed: the files, and every version they make of what is registered now."""
    beside = {"documents": dict(documents)} if documents else {}
    return {"change": CHANGE, "text": text, "versions": planned.to_json(), **beside}


def made_by(workspace_id: UUID, request_id: UUID) -> Registration | None:
    """The registration that a request became; None while it has not."""
    with in_workspace(workspace_id):
        return Registration.objects.filter(request_id=request_id).first()


def _change(
    workspace_id: UUID, text: str, planned: Plan, actor: Actor, documents: Mapping[str, str]
) -> policies.Change:
    tiers = [int(version.content["tier"]) for version in planned.versions if version.kind == TOOL]
    return policies.Change(
        kind="registry",
        kinds=planned.kinds,
        title=f"{actor.name} wants to register {open_kinds(planned.versions)}.",
        notice="A change of agents, tools or models waits for a second person.",
        tier=max([TIER, *tiers]),
        binding=binding(text, planned, documents),
        displayed={
            "headline": f"Register {open_kinds(planned.versions)}",
            "text": text,
            "changes": shown(planned),
            "failing_tests": failing_tests(workspace_id, planned),
        },
    )


def shown(planned: Plan) -> list[dict[str, Any]]:
    """What the card shows of each version of a plan, made in the open workspace.

    The models and tools of an agent are said by name, number and hash: a hash alone tells nobody
    what they sign.
    """
    said = names_of(planned)
    return [_shown(version, said) for version in planned.versions]


def _shown(version: Planned, said: Mapping[str, str]) -> dict[str, Any]:
    """A version field by field, old beside new, long texts line by line."""
    fields = [_field(name, old, new) for name, old, new in differences(version)]
    for name, new in version.uses.items():
        old = version.old_uses.get(name)
        if old != new:
            fields.append(_field(name, _named(old, said), _named(new, said)))
    if not fields or version.kind == TOOL:
        before = f"sha256:{version.before}" if version.before else None
        fields.append(_field("content hash", before, f"sha256:{version.digest}"))
    return {
        "kind": version.kind,
        "name": version.name,
        "from": version.number - 1,
        "to": version.number,
        "fields": fields,
    }


def _named(used: Any, said: Mapping[str, str]) -> Any:  # noqa: ANN401 - as `Planned.uses` has it
    if isinstance(used, Mapping):
        return {name: _named(digest, said) for name, digest in used.items()}
    return f"{said.get(used, 'unknown')}, sha256:{used}" if used else used


def _field(name: str, old: Any, new: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON of any column
    before, after = _text(old), _text(new)
    if "\n" in before + after:
        lines = list(
            difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
        )
        return {"field": name, "lines": lines[2:]}
    return {"field": name, "before": before, "after": after}


def _text(value: Any) -> str:  # noqa: ANN401 - JSON of any column
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and value:
        return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return json.dumps(value, ensure_ascii=False)


def _may_propose(workspace_id: UUID, actor: Actor) -> Refusal | None:
    """Of a program the door has checked that its token is good for changes."""
    if actor.type == "service":
        return None
    if actor.type == "user" and directory().roles(actor.id, workspace_id) & PROPOSERS:
        return None
    return Refusal(
        Reason.ROLE, "Only operators and administrators propose changes of what is registered."
    )


def _refuse(workspace_id: UUID, actor: Actor, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": "propose"}
    subject = Subject("workspace", str(workspace_id))
    record(workspace_id, [Draft("change.refused", actor, subject, detail=detail)])
    return refusal
