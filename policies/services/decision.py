"""Decisions, stored as they were made."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from audit import canonical, rows
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import notices
from policies.models import DecisionRecord, PolicyVersion


@dataclass(frozen=True)
class DecisionDraft:
    """A decision of the engine, ready to store.

    Attributes:
        actor: on whose action was decided, usually the agent.
        rules: ``{id, sentence, reason, roles, quorum, shadow}`` each.
        request: what the engine was asked, enough to decide again.
        facts: the program's facts; None for decisions on anything but a program.
        call_seq: place of the tool call within its step; None for other decisions.
    """

    actor: Actor
    action: str
    outcome: str
    sentence: str
    request: Mapping[str, JSON]
    policy_version_id: UUID
    rules: Sequence[Mapping[str, JSON]] = ()
    errors: Sequence[str] = ()
    run_id: UUID | None = None
    step: int | None = None
    call_seq: int | None = None
    facts: Mapping[str, JSON] | None = None
    facts_digest: str = ""
    on_behalf_of: Actor | None = None
    detail: Mapping[str, JSON] = field(default_factory=dict)


def decision_record(
    *, workspace_id: UUID, decisions: Sequence[DecisionDraft]
) -> list[DecisionRecord]:
    """Store decisions and their entries, however many at once, in the given order.

    Raises:
        CanonicalError: a request has no canonical form (the caller's fault).
    """
    if not decisions:
        return []
    with in_workspace(workspace_id):
        made, entries = decision_store(workspace_id=workspace_id, decisions=decisions)
        record(workspace_id, entries)
    return made


def decision_store(
    *, workspace_id: UUID, decisions: Sequence[DecisionDraft]
) -> tuple[list[DecisionRecord], list[Draft]]:
    """Store decisions and hand back their entries, for a caller who has more to record.

    The caller's transaction is open, and it records the entries in it: a decision without its
    entry is a finding of the verifier.

    Raises:
        CanonicalError: a request has no canonical form (the caller's fault).
    """
    made = [_row(workspace_id, draft) for draft in decisions]
    rows.insert(made)
    notices.announce(workspace_id, made)
    entries = [
        _entry(row, draft, _policy_digest(draft.policy_version_id))
        for row, draft in zip(made, decisions, strict=True)
    ]
    return made, entries


@functools.lru_cache(maxsize=1000)
def _policy_digest(version_id: UUID) -> str:
    """Versions never change, and every step of every run asks for one."""
    return PolicyVersion.objects.values_list("digest", flat=True).get(id=version_id)


def _row(workspace_id: UUID, draft: DecisionDraft) -> DecisionRecord:
    request = canonical.clean(dict(draft.request))
    return DecisionRecord(
        workspace_id=workspace_id,
        run_id=draft.run_id,
        step=draft.step,
        call_seq=draft.call_seq,
        action=draft.action,
        outcome=draft.outcome,
        rules=canonical.clean([dict(rule) for rule in draft.rules]),
        errors=canonical.clean(list(draft.errors)),
        sentence=canonical.clean(draft.sentence),
        facts=None if draft.facts is None else canonical.clean(dict(draft.facts)),
        facts_digest=draft.facts_digest,
        request=request,
        request_digest=canonical.digest(request),
        policy_version_id=draft.policy_version_id,
    )


def _entry(row: DecisionRecord, draft: DecisionDraft, policy_digest: str) -> Draft:
    detail: dict[str, JSON] = {
        **draft.detail,
        "action": row.action,
        "outcome": row.outcome,
        "policy": policy_digest,
        "request": row.request_digest,
        "rules": [str(rule["id"]) for rule in row.rules if not rule.get("shadow")],
    }
    shadow = [str(rule["id"]) for rule in row.rules if rule.get("shadow")]
    optional: dict[str, JSON] = {
        "shadow": shadow or None,
        "facts": row.facts_digest or None,
        "step": row.step,
        "call": row.call_seq,
        "errors": row.errors or None,
    }
    detail |= {name: value for name, value in optional.items() if value is not None}
    return Draft(
        action="decision.made",
        actor=draft.actor,
        subject=Subject("decision", str(row.id)),
        run=row.run_id,
        on_behalf_of=draft.on_behalf_of,
        detail=detail,
        payloads={} if row.facts is None else {"facts": row.facts, "sentence": row.sentence},
    )
