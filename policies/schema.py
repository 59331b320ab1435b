"""The Cedar schema of a workspace, generated from its tools.

Every tool has its own action `call:<tool>` below the group `call`, so that a rule about one
tool can read its arguments by name and type, and a rule about all tools reads what they have
in common. A policy that names a tool, an argument or an attribute that does not exist is
refused when it is compiled, never ignored when it is evaluated.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from policies.facts.record import ToolSpec

_BASE = """
entity Workspace;
entity Person;
entity Agent;
entity Tool {
  name: String,       // as registered
  effect: String,     // "read" or "write"
  tier: Long,         // risk tier, 0 to 4
  labels: Set<String>, // labels of what it returns
  outward: Bool,      // what is passed to it leaves the platform
};
entity Model {
  name: String,
  labels: Set<String>, // labels of data that may be sent to it; "*" is any
};
entity Subject { kind: String }; // what a change is about: "tool", "policy", …

type Run = {
  agent: String,
  agent_version: String,
  requester: String,
  agency: Long,         // level of agency, 0 to 3
  step: Long,
  seen: Set<String>,    // labels of everything the model has read when it wrote this
  spent: {
    tokens: Long, cost_micros: Long, tool_calls: Long, writes: Long, steps: Long, seconds: Long,
  },
  hour: Long,           // of the day, UTC
  weekday: Long,        // Monday is 1
  now: datetime,
};

type Program = {
  problems: Set<String>,        // why it could not be analysed
  imports: Set<String>,         // top-level modules imported
  refused_imports: Set<String>, // imports outside the allow-list
  features: Set<String>,        // dynamic features, as "kind" and "kind:name"
  unmodelled: Set<String>,      // constructs the analysis does not follow
  rough: Set<String>,           // what the analysis follows only roughly, in any step so far
  touches: Set<String>,         // labels of what it reads and of what earlier steps left
  unbound: Set<String>,         // names that nothing binds
  tools: Set<String>,           // tools it may call
  writes: Set<String>,          // those of them that write
  max_tier: Long,               // highest tier of a tool it may call, 0 without any
  has_effect: Bool,             // it may call a tool that writes or reaches outward
  flows: Set<String>,           // "<label> -> <role>" and "<label> -> <tool>.<argument>", as data
  choices: Set<String>,         // the same, where the label only decides which value it is
  guards: Set<String>,          // "<label> -> <tool>": decides whether the call happens
  reads: Set<String>,           // labels of what it reads
  sent: Set<String>,            // labels of data it passes to tools that reach outward
  hosts: Set<String>, paths: Set<String>, emails: Set<String>,
  sql: Set<String>, tables: Set<String>,
  secrets: Set<String>, personal: Set<String>, // kinds found in literals
  blobs: Long,                  // large encoded literals
  loop_depth: Long,
  unbounded_loops: Long,
  max_writes: Long,             // most write calls it can make, if counted
  writes_counted: Bool,
  lines: Long,
};

type Call = {
  flows: Set<String>,    // "<label> -> <role>" and "<label> -> <argument>", as data
  choices: Set<String>,  // the same, where the label only decides which value it is
  labels: Set<String>,   // all labels of data in the arguments
  deciders: Set<String>, // labels of what decided which values the arguments have
  guards: Set<String>,   // labels of what decided whether the call happens
  rounds: Set<String>,   // labels of what decided how often it happens
  seen: Set<String>,     // labels of what the program read before it, and the model ever
  recipient_sources: Set<String>, // "task", "literal", "tool", "step", "unknown"
  amount_sources: Set<String>,    // the same of the amounts
  recipient_tools: Set<String>,   // tools whose results became the recipient
  first_use: Bool,       // this agent version has not called the tool with success before
  made_before: Bool,     // the run made or plans it already, with these recipients and amounts
  roles: Set<String>,    // roles of the arguments passed
  amount_minor: Long,    // sum of the amounts, in hundredths rounded up; 0 without any
  amount_known: Bool,    // false where an amount is not known yet
  today: {               // what this agent has done today (UTC) and plans before this call
    writes: Long, recipients: Long,
    amount_minor: Long,  // hundredths, in the currency of this call
  },
  over_budget: Bool,     // it would cross a budget of the day that signatures may cross
  secrets: Set<String>, personal: Set<String>, // kinds found in the values
  hosts: Set<String>, emails: Set<String>,     // in the values, lower case
};

type Prompt = {
  labels: Set<String>,         // of everything the run has read
  refused_labels: Set<String>, // those of them that may not be sent to this model
  secrets: Set<String>, personal: Set<String>, // kinds found in all that the model is told
  tokens: Long, cost_micros: Long,
};

type Answer = {
  labels: Set<String>, choices: Set<String>,
  secrets: Set<String>, personal: Set<String>,
  bytes: Long,
};

action "start_run" appliesTo { principal: Person, resource: Workspace, context: {
  run: Run, goal: { secrets: Set<String>, personal: Set<String>, characters: Long } } };
action "use_model" appliesTo { principal: Agent, resource: Model, context: {
  run: Run, prompt: Prompt } };
action "execute" appliesTo { principal: Agent, resource: Workspace, context: {
  run: Run, program: Program } };
action "call" appliesTo { principal: Agent, resource: Tool, context: { run: Run, call: Call } };
action "release" appliesTo { principal: Agent, resource: Workspace, context: {
  run: Run, answer: Answer } };
action "change" appliesTo { principal: Person, resource: Subject, context: {
  change: { kind: String, summary: String, tier: Long, now: datetime } } };
"""


def schema_for(tools: Sequence[ToolSpec]) -> str:
    """Cedar schema text for a workspace with these tools."""
    return _BASE + "".join(_action(tool) for tool in sorted(tools, key=lambda t: t.name))


def _action(tool: ToolSpec) -> str:
    required = tool.parameters.get("required", [])
    fields = ", ".join(
        f"{quoted(name)}{'' if name in required and not nullable else '?'}: {kind}"
        for name, (kind, nullable) in argument_types(tool).items()
    )
    return (
        f'action {quoted("call:" + tool.name)} in ["call"] appliesTo {{ principal: Agent, '
        f"resource: Tool, context: {{ run: Run, call: Call, argument: {{ {fields} }} }} }};\n"
    )


def quoted(text: str) -> str:
    """A Cedar string literal."""
    return json.dumps(text, ensure_ascii=False)


def argument_types(tool: ToolSpec) -> dict[str, tuple[str, bool]]:
    """Cedar type of each argument a rule can read, and whether it may be null."""
    properties = tool.parameters.get("properties", {})
    types: dict[str, tuple[str, bool]] = {}
    if isinstance(properties, Mapping):
        for name, schema in properties.items():
            kind, nullable = _type(schema if isinstance(schema, Mapping) else {})
            if kind:
                types[str(name)] = (kind, nullable)
    return types


_SIMPLE = {"string": "String", "integer": "Long", "boolean": "Bool", "number": "decimal"}


def _type(schema: Mapping[str, Any]) -> tuple[str, bool]:
    declared = schema.get("type")
    kinds = list(declared) if isinstance(declared, list) else [declared]
    nullable = "null" in kinds
    kinds = [kind for kind in kinds if kind != "null"]
    if len(kinds) != 1:
        return "", nullable
    if kinds[0] == "array":
        items = schema.get("items")
        element = items.get("type") if isinstance(items, Mapping) else None
        return ("Set<String>" if element == "string" else ""), nullable
    return _SIMPLE.get(str(kinds[0]), ""), nullable
