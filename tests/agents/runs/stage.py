"""A stage for runs: a workspace with people, an agent with a bank, and a model of few words."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from agents import loop, services
from agents.llm.chat import ChatReply, ChatRequest, Delta, FinishReason, Usage
from agents.models import Call, Run, Step
from agents.registry import Proposal, propose, register
from agents.session import open_session
from agents.worker import leases
from audit.models import Entry
from audit.services import Actor
from audit.transactions import in_workspace
from policies.models import Answer, ApprovalRequest, Meaning
from policies.services import VoteResult, change_apply, vote_cast
from tests.agents.runs.tools import bank
from tests.countersign.accounts.cast import Cast

REGISTER = """
models:
  scripted:
    base_url: http://127.0.0.1:9/v1
    model: scripted-test
    labels: ["untrusted", "confidential"]
tools:
  list_vendors: tests.agents.runs.tools:list_vendors
  read_note: tests.agents.runs.tools:read_note
  ledger: tests.agents.runs.tools:ledger
  statement: tests.agents.runs.tools:statement
  pay: tests.agents.runs.tools:pay
  send: tests.agents.runs.tools:send
  note_down: tests.agents.runs.tools:note_down
agents:
  # Programs that do not end are ended by their processor time. A short wall clock would end others
  # as well, where the machine is busy: a paying program then never asks for its signatures.
  Teller:
    instructions: Pay vendors.
    goal: Pay the vendors.
    model: scripted
    tools: [list_vendors, read_note, ledger, statement, pay, send, note_down]
    imports: [math, json, re, datetime, random, time]
    limits: {steps: 12, step_cpu_s: 3}
    inputs:
      type: object
      properties:
        limit: {type: integer}
    checks:
      - says: The answer is an object that says what was done.
        schema: {type: object, required: [done]}
"""


class Replies:
    """A model that gives one reply after another."""

    def __init__(self, replies: Sequence[str | Exception]) -> None:
        self.replies = list(replies)
        self.asked: list[ChatRequest] = []

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        self.asked.append(request)
        reply = self.replies.pop(0) if self.replies else "final_answer({'done': 'nothing left'})"
        if isinstance(reply, Exception):
            raise reply
        return said(reply)

    def observed(self) -> str:
        """The last thing the model was told."""
        return self.asked[-1].messages[-1].content


def said(text: str) -> ChatReply:
    """What a model says, in one attempt and a millisecond."""
    return ChatReply(
        text=text,
        tool_calls=(),
        usage=Usage(10, 5, estimated=False),
        finish_reason=FinishReason.STOP,
        model="scripted-test",
        request_id="",
        attempts=1,
        duration_ms=1,
    )


def program(code: str) -> str:
    return f"Next.\n<code>\n{code}\n</code>"


@dataclass
class Stage:
    """Everyone and everything a run needs; `play` drives it like a worker would."""

    cast: Cast
    model: Replies = field(default_factory=lambda: Replies([]))

    @property
    def workspace_id(self) -> UUID:
        return self.cast.acme.id

    def start(self, *replies: str | Exception, **inputs: Any) -> Run:
        self.model = Replies(replies)
        started = services.run_start(
            workspace_id=self.workspace_id,
            agent="Teller",
            requester=self.cast.actor("alice"),
            inputs=inputs,
        )
        return started.run

    def play(self, run: Run, owner: str = "worker-1") -> Run:
        """Claim the run and drive it until it parks or ends."""
        lease = leases.claim(workspace_id=self.workspace_id, run_id=run.id, owner=owner)
        if lease is not None:
            loop.advance(open_session(lease), self.model)
        return self.fresh(run)

    def fresh(self, run: Run) -> Run:
        with in_workspace(self.workspace_id):
            return Run.objects.get(id=run.id)

    def steps(self, run: Run) -> list[Step]:
        with in_workspace(self.workspace_id):
            return list(Step.objects.filter(run=run).order_by("number"))

    def calls(self, run: Run) -> list[Call]:
        with in_workspace(self.workspace_id):
            found = Call.objects.filter(run=run).select_related("tool_version__tool", "step")
            return list(found.order_by("step__number", "seq"))

    def request(self, run: Run) -> ApprovalRequest:
        """The newest request of the run."""
        with in_workspace(self.workspace_id):
            return ApprovalRequest.objects.filter(run_id=run.id).latest("created")

    def vote(
        self, run: Run, name: str, answer: Answer = Answer.SIGN, comment: str = ""
    ) -> VoteResult:
        return self.vote_on(self.request(run), name, answer, comment)

    def vote_on(
        self, request: ApprovalRequest, name: str, answer: Answer = Answer.SIGN, comment: str = ""
    ) -> VoteResult:
        return services.approval_vote(
            workspace_id=self.workspace_id,
            request_id=request.id,
            voter=self.cast.actor(name),
            answer=answer,
            meaning=Meaning.APPROVED,
            comment=comment,
            displayed_digest=request.displayed_digest,
            reauthenticated_at=datetime.now(UTC),
        )

    def actions(self, run: Run) -> list[str]:
        """What the log says of the run, in its order."""
        with in_workspace(self.workspace_id):
            entries = Entry.objects.filter(run_id=run.id).order_by("run_seq")
            return [entry.action for entry in entries]

    def told(self, run: Run, *actions: str) -> list[dict[str, Any]]:
        """The leaves of the run's entries with these actions, in their order."""
        with in_workspace(self.workspace_id):
            entries = Entry.objects.filter(run_id=run.id, action__in=actions).order_by("run_seq")
            return [json.loads(bytes(entry.leaf)) for entry in entries]


def make_stage(cast: Cast) -> Stage:
    """A fresh stage for a cast, with an empty bank."""
    bank.__init__()  # type: ignore[misc]
    register(workspace_id=cast.acme.id, text=REGISTER, actor=Actor("system", "test", "the test"))
    return Stage(cast)


def register_signed(
    cast: Cast, text: str, documents: Mapping[str, str] | None = None
) -> ApprovalRequest:
    """Change what is registered as people do: Alice proposes, Carol signs, it is made."""
    now = datetime.now(UTC)
    proposal = propose(
        workspace_id=cast.acme.id,
        text=text,
        documents=documents,
        actor=cast.actor("alice"),
        now=now,
    )
    assert isinstance(proposal, Proposal), proposal
    request = proposal.request
    assert request is not None
    signed = vote_cast(
        workspace_id=cast.acme.id,
        request_id=request.id,
        voter=cast.actor("carol"),
        answer=Answer.SIGN,
        meaning=Meaning.APPROVED,
        comment="",
        displayed_digest=request.displayed_digest,
        reauthenticated_at=now,
        now=now,
    )
    assert signed.completed, signed.refusal
    assert change_apply(workspace_id=cast.acme.id, request_id=request.id, now=now) is None
    return request
