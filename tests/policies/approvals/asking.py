"""Asking for signatures and giving them, as the rooms above do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from audit.services import Actor
from audit.transactions import in_workspace
from policies.errors import Refusal
from policies.models import Answer, Approval, ApprovalRequest, Kind, Meaning
from policies.selectors import active_policy
from policies.services import (
    RequestDraft,
    VoteResult,
    approval_consume,
    approval_request,
    vote_cast,
)
from tests.countersign.accounts.cast import NOW, Cast

BINDING: Mapping[str, Any] = {"code": "c" * 64, "manifest": "d" * 64, "agent": "payables@3"}
TWO_FINANCE: Sequence[Mapping[str, Any]] = ({"role": "reviewer:finance", "count": 2},)
ONE_FINANCE: Sequence[Mapping[str, Any]] = ({"role": "reviewer:finance", "count": 1},)


def draft(cast: Cast, **changes: Any) -> RequestDraft:
    """What Alice's run asks for, unless ``changes`` say otherwise."""
    given = RequestDraft(
        kind=Kind.MANIFEST,
        title="Accounts payable wants to pay 1,200.00 EUR to one recipient, for Alice.",
        notice="Payments wait for a countersignature.",
        tier=3,
        agent_name="Accounts payable",
        binding=BINDING,
        requirement=TWO_FINANCE,
        requester=cast.actor("alice"),
        displayed={"effects": [{"tool": "payments.create", "amount": 120000}]},
        policy_version_id=active_policy(cast.acme.id).version_id,
        sign_by=NOW + timedelta(hours=4),
        execute_by=NOW + timedelta(hours=8),
        run_id=uuid4(),
        step=2,
    )
    return replace(given, **changes)


def ask(cast: Cast, **changes: Any) -> ApprovalRequest:
    return approval_request(workspace_id=cast.acme.id, draft=draft(cast, **changes), now=NOW)


def vote(
    cast: Cast,
    request: ApprovalRequest,
    who: str | Actor,
    answer: Answer = Answer.SIGN,
    *,
    workspace_id: UUID | None = None,
    comment: str = "",
    displayed: str | None = None,
    reauthenticated_at: datetime | None = None,
    now: datetime = NOW,
) -> VoteResult:
    """``who`` answers, having given the password just now and seen what there is to see."""
    return vote_cast(
        workspace_id=workspace_id or cast.acme.id,
        request_id=request.id,
        voter=cast.actor(who) if isinstance(who, str) else who,
        answer=answer,
        meaning=Meaning.APPROVED,
        comment=comment,
        displayed_digest=request.displayed_digest if displayed is None else displayed,
        reauthenticated_at=now if reauthenticated_at is None else reauthenticated_at,
        now=now,
    )


def approved(cast: Cast, **changes: Any) -> ApprovalRequest:
    """A request that Bob and Beth have signed."""
    request = ask(cast, **changes)
    assert not vote(cast, request, "bob").completed
    assert vote(cast, request, "beth").completed
    return request


def consume(
    cast: Cast,
    request: ApprovalRequest,
    *,
    binding: Mapping[str, Any] = BINDING,
    consumer: str = "worker-1",
    workspace_id: UUID | None = None,
    now: datetime = NOW,
) -> Approval | Refusal:
    return approval_consume(
        workspace_id=workspace_id or cast.acme.id,
        request_id=request.id,
        binding=binding,
        consumer=consumer,
        now=now,
    )


def state(cast: Cast, request: ApprovalRequest) -> str:
    with in_workspace(cast.acme.id):
        return str(ApprovalRequest.objects.get(id=request.id).state)
