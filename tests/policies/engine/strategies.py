"""Requests and rules as hypothesis draws them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from policies import requests
from policies.facts.record import Argument, CallSite, Facts, Finding, Import, Origin, ToolSpec
from policies.facts.sensitive import PERSONAL_KINDS, UNREAD

SEND = ToolSpec(
    "send",
    "v1",
    "write",
    1,
    frozenset(),
    {"to": "recipient", "amount": "amount"},
    {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "amount": {"type": "integer"},
            "urgent": {"type": "boolean"},
            "price": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["to", "amount"],
    },
)
READ = ToolSpec("read", "v1", "read", 0, frozenset({"untrusted"}), {}, {})
PAY = ToolSpec("pay", "v2", "write", 3, frozenset({"confidential"}), {"iban": "recipient"}, {})
TOOLS = [SEND, READ, PAY]

LABELS = ("untrusted", "confidential", "personal", "secret", "unknown")
labels = st.frozensets(st.sampled_from(LABELS), max_size=3)
origins = st.builds(
    Origin,
    st.frozensets(st.sampled_from(("task", "literal", "tool:read", "step:x", "unbound:y"))),
    labels,
    labels,
)
contexts = st.builds(
    requests.RunContext,
    workspace=st.just("w"),
    agent=st.sampled_from(("ap", "hr")),
    requester=st.just("alice"),
    agency=st.integers(0, 3),
    step=st.integers(0, 40),
    control_labels=labels,
    spent=st.fixed_dictionaries(
        {"tool_calls": st.integers(0, 2000), "writes": st.integers(0, 200)}
    ),
    now=st.integers(1_767_225_600, 1_798_761_600).map(
        lambda second: datetime.fromtimestamp(second, UTC)
    ),
)
arguments = st.fixed_dictionaries(
    {"to": st.text(max_size=8), "amount": st.integers(-5, 2_000_000)},
    optional={
        "urgent": st.booleans(),
        "price": st.decimals(0, 1000, places=2).map(float),
        "tags": st.lists(st.sampled_from(("a", "b")), max_size=2),
    },
)
calls = st.builds(
    lambda ctx, args, origin, guards, seen: requests.call(
        ctx, SEND, args, {"**": origin}, guards=guards, seen=seen
    ),
    contexts,
    arguments,
    origins,
    labels,
    labels,
)
findings = st.builds(
    Finding, st.sampled_from(("dunder", "dynamic-code")), st.just("x"), st.just(1), st.just(0)
)
some = st.lists(findings, max_size=1).map(tuple)
sites = st.builds(
    lambda tool, role, origin, guards, count: CallSite(
        tool.name,
        tool.effect,
        tool.tier,
        tool.labels,
        1,
        0,
        (Argument("to", role, False, None, "x", origin),),
        guards,
        frozenset(),
        False,
        count,
        frozenset(),
    ),
    st.sampled_from(TOOLS),
    st.sampled_from(("recipient", "command", "")),
    origins,
    labels,
    st.none() | st.integers(0, 5),
)
programs = st.builds(
    lambda problems, features, unmodelled, rough, touches, imports, calls: Facts(
        "0" * 64,
        problems=problems,
        features=features,
        unmodelled=unmodelled,
        rough=rough,
        touches=touches,
        imports=imports,
        calls=calls,
    ),
    some,
    some,
    some,
    some,
    labels,
    st.lists(
        st.builds(Import, st.just("os"), st.just(""), st.just(1), st.just(0), st.booleans()),
        max_size=1,
    ).map(tuple),
    st.lists(sites, max_size=3).map(tuple),
)
executions = st.builds(requests.execute, contexts, programs)
releases = st.builds(requests.release, contexts, st.text(max_size=30), origins)
prompts = st.builds(
    requests.use_model,
    contexts,
    st.builds(requests.ModelSpec, st.just("m"), st.frozensets(st.sampled_from((*LABELS, "*")))),
    st.builds(
        requests.PromptFacts,
        st.frozensets(st.sampled_from(("Private Key", UNREAD)), max_size=1),
        st.frozensets(st.sampled_from((*PERSONAL_KINDS, UNREAD)), max_size=2),
    ),
    tokens=st.integers(0, 100_000),
)
every_request = st.one_of(calls, executions, releases, prompts)

CONDITIONS = (
    'context.call.flows.contains("untrusted -> recipient")',
    "context.argument.amount > 1000",
    "context.argument.amount <= 0 || resource.tier == 1",
    "context has argument && context.argument has urgent && context.argument.urgent",
    'context.argument has price && context.argument.price.greaterThan(decimal("10.5"))',
    'context.argument has tags && context.argument.tags.containsAny(["a"])',
    'context.argument.to like "a*"',
    "!context.call.seen.isEmpty()",
    'context.call.labels.containsAll(["secret", "personal"])',
    "context.run.spent.tool_calls >= 1000",
    'context.run.now < datetime("2026-06-01T00:00:00Z")',
    "if context.run.step > 3 then resource.outward else context.run.agency == 3",
    'resource == Tool::"send" && resource.name != "read"',
)
rules = st.lists(
    st.tuples(
        st.sampled_from(("hard", "soft", "shadow")),
        st.sampled_from(("when", "unless")),
        st.sampled_from(CONDITIONS),
    ),
    max_size=5,
)


def policy_text(drawn: list[tuple[str, str, str]]) -> str:
    """Cedar text that permits everything and forbids what was drawn."""
    text = '@id("all") permit(principal, action, resource);\n'
    for index, (kind, clause, condition) in enumerate(drawn):
        notes = {"hard": "", "soft": '@review("reviewer") @quorum("2") ', "shadow": "@shadow "}
        text += (
            f'@id("r{index}") {notes[kind]}forbid(principal, action == Action::"call:send", '
            f"resource) {clause} {{ {condition} }};\n"
        )
    return text
