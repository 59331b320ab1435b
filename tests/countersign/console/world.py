"""A workspace as it looks after a week of work, in rows: what the console's pages are tested on.

The rows are what the loop and the broker write; nothing runs here. Times are around the real now,
since the pages compare with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from agents.approvals import manifest
from agents.budgets.limits import Limits
from agents.files.sniffing import sniff
from agents.models import (
    Agent,
    AgentTool,
    AgentVersion,
    Artifact,
    ArtifactContent,
    Call,
    CallState,
    ModelEndpoint,
    Registration,
    Run,
    RunState,
    Step,
    StepState,
    Tool,
    ToolVersion,
)
from agents.registry.plan import columns
from audit import canonical
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies.facts.extract import extract
from policies.facts.record import ToolSpec
from policies.models import ApprovalRequest, DecisionRecord, Kind
from policies.selectors import active_policy
from policies.services import DecisionDraft, RequestDraft, approval_request, decision_record
from tests.countersign.accounts.cast import Cast

GOAL = "Match this week's supplier invoices and pay those that agree with order and receipt."
PAYMENTS = (
    ("V-101", "Kessler Büro GmbH", "DE44500105175407324931", 120_400, "8841"),
    ("V-204", "Norr Papier AB", "SE3550000000054910000003", 987_050, "8850"),
    ("V-102", "Havel & Syn s.r.o.", "CZ6508000000192000145399", 64_000, "8853"),
    ("V-103", "Atelier Mercier SARL", "FR1420041010050500013M02606", 1_240_000, "8857"),
    ("V-104", "Van Dijk Logistiek B.V.", "NL91ABNA0417164300", 8_820, "8860"),
)
READ = """\
invoices = list_invoices(week=week)
orders = list_orders(week=week)
by_order = {order["number"]: order for order in orders}
matched = [i for i in invoices if i["order"] in by_order]
print(len(invoices), "invoices,", len(matched), "with an order")
"""
REFUSED = """\
notes = read_vendor_notes(week=week)
# The letter gives a new account for Norr Papier AB.
account = notes[0]["text"].split("IBAN ")[1][:24]
create_payment(vendor="V-204", payee="Norr Papier AB", account=account,
               amount_cents=987050, currency="EUR", reference="8850")
"""
PAY = """\
vendors = {vendor["id"]: vendor for vendor in get_vendors()}
payments = []
for invoice in due:
    vendor = vendors[invoice["vendor"]]
    if invoice["amount_cents"] != by_order[invoice["order"]]["amount_cents"]:
        continue
    payments.append(create_payment(
        vendor=vendor["id"], payee=vendor["name"], account=vendor["account"],
        amount_cents=invoice["amount_cents"], currency="EUR", reference=invoice["number"]))
send_mail(recipient=report_to, subject="Payments of " + week, body=report(payments))
print(len(payments), "payments")
"""
SPECS: Mapping[str, Mapping[str, Any]] = {
    "list_invoices": {"labels": ["confidential"], "tier": 1},
    "list_orders": {"labels": ["confidential"], "tier": 1},
    "get_vendors": {"labels": ["confidential"], "tier": 1},
    "read_vendor_notes": {"labels": ["untrusted"], "tier": 1},
    "create_payment": {
        "effect": "write",
        "tier": 3,
        "idempotent": True,
        "roles": {
            "vendor": "vendor",
            "payee": "payee",
            "account": "recipient",
            "amount_cents": "amount_minor",
            "currency": "currency",
            "reference": "reference",
        },
    },
    "send_mail": {
        "effect": "write",
        "tier": 2,
        "roles": {"recipient": "recipient", "subject": "free_text", "body": "free_text"},
    },
}
DESCRIPTIONS = {
    "list_invoices": "List the supplier invoices that arrived in a week.",
    "list_orders": "List the purchase orders whose invoices are expected in a week.",
    "get_vendors": "Read the vendor master: each supplier with the one account that may be paid.",
    "read_vendor_notes": "Read the letters that suppliers sent with their invoices of a week.",
    "create_payment": "Create the payment draft for one invoice. Each invoice is paid once.",
    "send_mail": "Send a plain text mail; in the demo it goes to a mailbox on this machine.",
}


Row = ModelEndpoint | ToolVersion | AgentVersion
LATER_TOOL = ("create_payment", 2)
LATER_CHANGES: Mapping[str, Any] = {"tier": 4, "description": "Pays at once."}


@dataclass(frozen=True)
class World:
    """What was made; ids serve the addresses of the tests."""

    cast: Cast
    version: AgentVersion
    runs: Mapping[str, Run]
    request: ApprovalRequest
    doubt: Call
    file: Artifact

    @property
    def workspace_id(self) -> UUID:
        return self.cast.acme.id


def make_world(cast: Cast) -> World:
    """Fill Acme with an agent, its tools, runs in several states, and a request for signatures."""
    with in_workspace(cast.acme.id):
        endpoint = make_endpoint(cast)
        tools = {name: tool_row(cast, name) for name in SPECS}
        version, arithmetic = agent_row(cast, endpoint), arithmetic_row(cast, endpoint)
        later = tool_row(cast, *LATER_TOOL, **LATER_CHANGES)
        agents = [(version, list(tools.values())), (arithmetic, [])]
        make_registration(cast, endpoint, [*tools.values(), later], agents)
        waiting = make_run(cast, version, RunState.AWAITING_APPROVAL, spent=3)
        request = tell(cast, waiting, tools)
        running = make_run(cast, version, RunState.RUNNING, "List what Van Dijk still owes us.")
        make_step(running, 1, StepState.READY, READ, minutes=1)
        doubtful = make_run(cast, version, RunState.AWAITING_INPUT, "Pay invoice 8870.")
        doubt = make_doubt(doubtful, tools["create_payment"])
        runs = {"waiting": waiting, "running": running, "doubt": doubtful}
        for state, reason in ENDED.items():
            runs[state.value] = make_run(cast, version, state, reason=reason, minutes=90)
        return World(cast, version, runs, request, doubt, keep_file(cast.acme.id, waiting))


# The smallest picture there is: one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c636060f8cf50000003840181e6c3f0d40000000049454e44ae426082"
)


def keep_file(
    workspace_id: UUID, run: Run, name: str = "plot.png", content: bytes = PIXEL
) -> Artifact:
    """A file in a run, as the end of a step stores it."""
    digest = sha256(content).hexdigest()
    with in_workspace(workspace_id):
        if not ArtifactContent.objects.filter(sha256=digest).exists():
            ArtifactContent.objects.create(
                workspace_id=workspace_id, sha256=digest, content=content
            )
        return Artifact.objects.create(
            workspace_id=workspace_id,
            run=run,
            step=Step.objects.filter(run=run).order_by("number").first(),
            name=name,
            sha256=digest,
            size=len(content),
            media_type=sniff(name, content),
            labels=["untrusted"],
        )


ENDED = {
    RunState.SUCCEEDED: "",
    RunState.FAILED: "The step limit of this run is reached: 20 of 20 steps.",
    RunState.DENIED: "rule agents-allowed: This agent may not be started by this person.",
    RunState.CANCELLED: "Stopped by Alice.",
    RunState.EXPIRED: "Nobody signed in time.",
}


def now() -> datetime:
    return datetime.now(UTC)


def make_registration(
    cast: Cast,
    endpoint: ModelEndpoint,
    tools: Sequence[ToolVersion],
    agents: Sequence[tuple[AgentVersion, Sequence[ToolVersion]]],
) -> None:
    """Let the rows in as a workspace's set-up does; of tools the first versions only."""
    listed = [listing("model", endpoint.name, endpoint)]
    listed += [listing("tool", tool.tool.name, tool) for tool in tools]
    for version, may_call in agents:
        uses = {tool.tool.name: tool.digest for tool in may_call}
        about = {"model": endpoint.digest, "tools": uses}
        listed.append({**listing("agent", version.agent.name, version), "uses": about})
    registration = Registration.objects.create(
        workspace=cast.acme, number=1, versions=listed, registered_by="command line"
    )
    first = [tool for tool in tools if tool.number == 1]
    rows: list[Row] = [endpoint, *first, *(version for version, _ in agents)]
    for row in rows:
        row.registration = registration
        row.save(force_insert=True)
    AgentTool.objects.bulk_create(
        AgentTool(workspace=cast.acme, agent_version=version, tool_version=tool)
        for version, may_call in agents
        for tool in may_call
    )


def listing(
    kind: str, name: str, row: ModelEndpoint | ToolVersion | AgentVersion
) -> dict[str, Any]:
    about = {"kind": kind, "name": name, "number": row.number, "digest": row.digest}
    return {**about, "content": columns(row), "uses": {}}


def make_tool(cast: Cast, name: str, number: int, **changes: Any) -> ToolVersion:
    """A version that the set-up listed: `LATER_TOOL` with `LATER_CHANGES`."""
    row = tool_row(cast, name, number, **changes)
    row.registration = Registration.objects.get()
    row.save(force_insert=True)
    return row


def make_endpoint(cast: Cast) -> ModelEndpoint:
    return ModelEndpoint(
        workspace=cast.acme,
        name="scripted",
        number=1,
        digest=canonical.digest("endpoint"),
        kind="openai",
        base_url="http://127.0.0.1:8089/v1",
        model="scripted-accounts-payable",
        settings={"currency": "EUR", "context_tokens": 128_000},
        labels=["confidential", "untrusted"],
        registered_by="command line",
    )


def tool_row(cast: Cast, name: str, number: int = 1, **changes: Any) -> ToolVersion:
    spec = SPECS[name]
    tool, _ = Tool.objects.get_or_create(workspace=cast.acme, name=name)
    names = list(spec.get("roles", {"week": ""}))
    parameters = {
        "type": "object",
        "properties": {n: {"type": _type(n), "description": f"The {n}."} for n in names},
        "required": names,
        "additionalProperties": False,
    }
    values: dict[str, Any] = {
        "digest": canonical.digest([name, number]),
        "target": f"countersign.demo.tools:{name}",
        "description": DESCRIPTIONS[name],
        "parameters": parameters,
        "result": {"type": "object"},
        "effect": spec.get("effect", "read"),
        "tier": spec["tier"],
        "labels": spec.get("labels", []),
        "roles": spec.get("roles", {}),
        "idempotent": spec.get("idempotent", False),
        "timeout_s": 20.0,
        "max_result_bytes": 500_000,
        "registered_by": "command line",
        **changes,
    }
    return ToolVersion(workspace=cast.acme, tool=tool, number=number, **values)


def _type(name: str) -> str:
    return "integer" if name == "amount_cents" else "string"


def agent_row(cast: Cast, endpoint: ModelEndpoint) -> AgentVersion:
    agent = Agent.objects.create(workspace=cast.acme, name="Accounts payable")
    return AgentVersion(
        workspace=cast.acme,
        agent=agent,
        number=7,
        digest=canonical.digest("agent 7"),
        description="Matches supplier invoices with orders and receipts and prepares payments.",
        instructions="Match by order number.\nPay only what agrees with order and receipt.",
        goal=GOAL,
        endpoint=endpoint,
        limits=Limits(steps=12, cost_micros=2_000_000).to_json(),
        budgets={
            "per_day": {"writes": 50, "amounts": {"EUR": 1000}, "over": "sign"},
            "workspace_per_day": {"recipients": 9},
        },
        inputs={
            "type": "object",
            "properties": {
                "week": {
                    "type": "string",
                    "description": "ISO week of the invoices.",
                    "default": "2026-W47",
                    "pattern": "^[0-9]{4}-W[0-9]{2}$",
                },
                "report_to": {"type": "string", "format": "email", "title": "Report to"},
                "limit_cents": {"type": "integer", "minimum": 1, "title": "Pay at most (cents)"},
                "dry_run": {"type": "boolean", "title": "Only report"},
            },
            "required": ["week"],
        },
        imports=["datetime", "re"],
        registered_by="command line",
    )


def arithmetic_row(cast: Cast, endpoint: ModelEndpoint) -> AgentVersion:
    """An agent without tools, which can really be started."""
    agent = Agent.objects.create(workspace=cast.acme, name="Arithmetic")
    return AgentVersion(
        workspace=cast.acme,
        agent=agent,
        number=1,
        digest=canonical.digest("arithmetic"),
        instructions="Compute.",
        endpoint=endpoint,
        limits=Limits().to_json(),
        inputs={
            "type": "object",
            "properties": {
                "numbers": {"type": "array", "items": {"type": "integer"}},
                "words": {"type": "array", "items": {"type": "string"}},
                "rounding": {"type": "string", "enum": ["up", "down"]},
                "places": {"type": "integer", "minimum": 0, "maximum": 9},
            },
            "required": ["numbers", "rounding"],
        },
        registered_by="command line",
    )


def make_run(
    cast: Cast,
    version: AgentVersion,
    state: RunState,
    goal: str = GOAL,
    *,
    reason: str = "",
    spent: int = 1,
    minutes: int = 10,
) -> Run:
    """A run in `state`, started by Alice `minutes` ago."""
    alice = cast.user("alice")
    run = Run.objects.create(
        workspace=cast.acme,
        agent_version=version,
        goal=goal,
        inputs={"week": "2026-W47", "report_to": "alice@example.org"},
        requester_type="user",
        requester_id=str(alice.id),
        requester_name=alice.name,
        state=state,
        reason=reason,
        answer={"paid": 5, "left": 17} if state is RunState.SUCCEEDED else None,
        seed="0" * 32,
        steps_taken=spent,
        input_tokens=4_200 * spent,
        output_tokens=536 * spent,
        cost_micros=37_000 * spent,
        working_ms=13_700 * spent,
        lease_until=now() + timedelta(hours=1) if state is RunState.RUNNING else None,
        control_labels=["confidential"],
        started=now() - timedelta(minutes=minutes),
        ended=now() - timedelta(minutes=minutes - 2) if state.final else None,
    )
    Run.objects.filter(id=run.id).update(created=now() - timedelta(minutes=minutes))
    draft = Draft("run.started", cast.actor("alice"), Subject("run", str(run.id)), run=run.id)
    record(cast.acme.id, [draft])
    run.refresh_from_db()
    return run


def tell(cast: Cast, run: Run, tools: Mapping[str, ToolVersion]) -> ApprovalRequest:
    """Three steps: reads, a refusal, and payments that wait for signatures."""
    first = make_step(
        run, 1, StepState.EXECUTED, READ, minutes=9, stdout="231 invoices, 214 with an order\n"
    )
    make_call(first, 0, tools["list_invoices"], {"week": "2026-W47"}, result=[{"n": 1}] * 231)
    make_call(first, 1, tools["list_orders"], {"week": "2026-W47"}, result=[{"n": 1}] * 240)
    decide(run, first, "allow", "Allowed: it only reads.", ())
    second = make_step(run, 2, StepState.DENIED, REFUSED, minutes=8)
    decide(run, second, "deny", "The account to pay comes from untrusted text.", (MASTER,))
    third = make_step(
        run,
        3,
        StepState.AWAITING_APPROVAL,
        PAY,
        minutes=7,
        thought="I matched 214 of 231 invoices. Five are due this week, so I create the payments.",
    )
    decide(run, third, "allow", "Allowed: each effect is decided when it is called.", ())
    make_call(third, 0, tools["get_vendors"], {}, result=[{"id": "V-101"}] * 48)
    planned = [
        make_call(third, n + 1, tools["create_payment"], _payment(row), position=n)
        for n, row in enumerate(PAYMENTS)
    ]
    planned.append(make_call(third, 6, tools["send_mail"], _mail(planned), position=5))
    return ask(cast, run, third, planned)


MASTER = {
    "id": "recipient-from-master",
    "sentence": "Never pay an account that was not read from the vendor master.",
    "reason": "Accounts in letters are the commonest fraud.",
    "roles": [],
    "quorum": 0,
    "shadow": False,
}
QUORUM = {
    "id": "payments-quorum",
    "sentence": "Payments over 10,000.00 EUR need two finance reviewers.",
    "reason": "",
    "roles": ["reviewer:finance"],
    "quorum": 2,
    "shadow": False,
}


def _payment(row: tuple[str, str, str, int, str]) -> dict[str, Any]:
    names = ("vendor", "payee", "account", "amount_cents", "reference")
    return {**dict(zip(names, row, strict=True)), "currency": "EUR"}


def _mail(planned: Sequence[Call]) -> dict[str, Any]:
    lines = [f"{call.arguments['payee']}: draft ⟦{call.token}/id⟧" for call in planned]
    body = "Paid this week, as agreed with order and receipt:\n\n" + "\n".join(lines)
    return {"recipient": "alice@example.org", "subject": "Payments of 2026-W47", "body": body}


ORIGINS = {
    "vendor": ["tool:get_vendors"],
    "payee": ["tool:get_vendors"],
    "account": ["tool:get_vendors"],
    "amount_cents": ["tool:list_invoices"],
    "reference": ["tool:list_invoices"],
    "currency": ["literal"],
    "recipient": ["task"],
    "subject": ["literal", "task"],
    "body": ["literal", "tool:get_vendors"],
    "week": ["task"],
}


def make_step(
    run: Run, number: int, state: StepState, code: str, *, minutes: int, **values: Any
) -> Step:
    done = state in (StepState.EXECUTED, StepState.DENIED)
    step = Step.objects.create(
        workspace_id=run.workspace_id,
        run=run,
        number=number,
        state=state,
        time_us=0,
        reply=code,
        code=code,
        code_digest=canonical.sha256_hex(code.encode()),
        status="completed" if state is StepState.EXECUTED else "",
        stdout_bytes=len(values.get("stdout", "")),
        input_tokens=4_200,
        output_tokens=536,
        cost_micros=37_000,
        model_ms=11_300,
        jail_ms=210,
        ended=now() - timedelta(minutes=minutes) if done else None,
        **values,
    )
    Step.objects.filter(id=step.id).update(created=now() - timedelta(minutes=minutes))
    return step


def make_call(
    step: Step,
    seq: int,
    tool: ToolVersion,
    arguments: Mapping[str, Any],
    *,
    position: int | None = None,
    state: CallState | None = None,
    **values: Any,
) -> Call:
    planned = position is not None
    return Call.objects.create(
        workspace_id=step.workspace_id,
        run_id=step.run_id,
        step=step,
        seq=seq,
        tool_version=tool,
        arguments=dict(arguments),
        arguments_digest=canonical.digest(dict(arguments)),
        origins={name: ORIGINS[name] for name in arguments},
        state=state or (CallState.PLANNED if planned else CallState.SUCCEEDED),
        manifest=1 if planned else None,
        position=position,
        token=f"token{step.number}x{seq}planned" if planned else "",
        duration_ms=0 if planned else 84,
        ended=None if planned else now(),
        **values,
    )


def make_doubt(run: Run, tool: ToolVersion) -> Call:
    step = make_step(run, 1, StepState.READY, "create_payment(...)\n", minutes=20)
    return make_call(
        step,
        0,
        tool,
        _payment(PAYMENTS[0]),
        state=CallState.UNKNOWN,
        error={"type": "OutcomeUnknown", "message": "The worker stopped during the call."},
    )


def decide(
    run: Run, step: Step, outcome: str, sentence: str, rules: Sequence[Mapping[str, Any]]
) -> DecisionRecord:
    facts = extract(step.code, tools=[spec(name) for name in SPECS], allowed_imports=["re"])
    draft = DecisionDraft(
        actor=Actor("agent", str(run.agent_version_id), "Accounts payable v7"),
        action="execute",
        outcome=outcome,
        sentence=sentence,
        request={"step": step.number},
        policy_version_id=active_policy(run.workspace_id).version_id,
        rules=rules,
        run_id=run.id,
        step=step.number,
        facts=facts.to_json(),
        facts_digest=facts.digest,
    )
    [decision] = decision_record(workspace_id=run.workspace_id, decisions=[draft])
    step.decision = decision
    step.save(update_fields=["decision"])
    return decision


def spec(name: str) -> ToolSpec:
    given = SPECS[name]
    roles = given.get("roles", {"week": ""})
    return ToolSpec(
        name=name,
        version=canonical.digest([name, 1]),
        effect=given.get("effect", "read"),
        tier=given["tier"],
        labels=frozenset(given.get("labels", ())),
        roles=given.get("roles", {}),
        parameters={"type": "object", "properties": {n: {"type": _type(n)} for n in roles}},
        idempotent=given.get("idempotent", False),
    )


def ask(cast: Cast, run: Run, step: Step, planned: Sequence[Call]) -> ApprovalRequest:
    """The request for two finance signatures that the run waits for."""
    moment = now()
    shown = displayed(run, step, planned)
    draft = RequestDraft(
        kind=Kind.MANIFEST,
        title=shown["sentence"],
        notice="Payments wait for a countersignature.",
        tier=3,
        agent_name=str(run.agent_version),
        binding={"run": str(run.id), "step": step.number, "code": step.code_digest},
        requirement=[{"role": "reviewer:finance", "count": 2}],
        requester=Actor(run.requester_type, run.requester_id, run.requester_name),
        displayed=shown,
        policy_version_id=active_policy(run.workspace_id).version_id,
        decision_id=step.decision_id,
        run_id=run.id,
        step=step.number,
        sign_by=moment + timedelta(minutes=18),
        execute_by=moment + timedelta(hours=2),
    )
    request = approval_request(workspace_id=run.workspace_id, draft=draft, now=moment)
    Call.objects.filter(id__in=[call.id for call in planned]).update(approval_request=request)
    step.approval_request = request
    step.save(update_fields=["approval_request"])
    Run.objects.filter(id=run.id).update(reason=shown["sentence"])
    return request


def displayed(run: Run, step: Step, planned: Sequence[Call]) -> dict[str, Any]:
    """What the card shows, in the form the agents room gives it."""
    effects = [
        manifest.Entry(
            position=call.position or 0,
            seq=call.seq,
            tool=call.tool_version.tool.name,
            version=call.tool_version.digest,
            arguments=call.arguments,
            origins=call.origins,
            roles=call.tool_version.roles,
            tier=call.tool_version.tier,
            token=call.token,
        )
        for call in planned
    ]
    summed = manifest.totals(effects)
    return {
        "kind": "manifest",
        "sentence": manifest.sentence("Accounts payable", run.requester_name, effects),
        "headline": manifest.headline(effects),
        "agent": "Accounts payable v7",
        "requester": run.requester_name,
        "goal": run.goal,
        "step": step.number,
        "explanation": step.thought,
        "code": step.code,
        "previous_code": REFUSED,
        "answer": None,
        "effects": [effect.to_json() for effect in effects],
        "totals": {
            "effects": summed.effects,
            "amounts": dict(summed.amounts),
            "recipients": list(summed.recipients),
        },
        "rules": [{key: QUORUM[key] for key in ("id", "sentence", "reason")}],
        "data": [
            {"tool": name, "effect": "read", "labels": SPECS[name]["labels"], "calls": 1}
            for name in ("list_invoices", "list_orders", "get_vendors", "read_vendor_notes")
        ],
    }


def unknown() -> UUID:
    """An id that nothing has."""
    return uuid4()
