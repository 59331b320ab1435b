"""What the things that rules speak of are called in plain English: the words, no grammar."""

from typing import Final

# What the attributes of a request are called; anything else is called by its own name.
TERMS: Final = {
    "context.run.seen": "what the model has read",
    "context.run.spent.tokens": "tokens spent",
    "context.run.spent.cost_micros": "cost in millionths",
    "context.run.spent.tool_calls": "tool calls made",
    "context.run.spent.writes": "write calls made",
    "context.run.spent.steps": "steps taken",
    "context.run.spent.seconds": "seconds used",
    "context.run.agency": "the agent's level of agency",
    "context.run.hour": "the hour (UTC)",
    "context.run.weekday": "the weekday (Monday is 1)",
    "context.run.step": "the step number",
    "context.run.now": "the time (UTC)",
    "context.change.now": "the time (UTC)",
    "context.change.kind": "the kind of change",
    "context.change.tier": "the risk tier of the change",
    "context.program.problems": "the problems of the program",
    "context.program.refused_imports": "its imports outside the allowed list",
    "context.program.features": "its dynamic features",
    "context.program.unmodelled": "its constructs that the analysis does not follow",
    "context.program.rough": "its constructs that the analysis follows only roughly",
    "context.program.touches": "the labels of what it can reach",
    "context.program.has_effect": "it can have an effect",
    "context.program.flows": "its data flows",
    "context.program.choices": "what decides its values",
    "context.program.guards": "what decides its calls",
    "context.program.reads": "the labels of what it reads",
    "context.program.sent": "the labels of what it sends out",
    "context.program.secrets": "the secrets in its text",
    "context.program.blobs": "the number of large encoded texts in it",
    "context.program.max_writes": "the most write calls it can make",
    "context.program.writes_counted": "its write calls can be counted",
    "context.program.unbounded_loops": "the number of endless loops",
    "context.call.flows": "the data flows into its arguments",
    "context.call.choices": "what decides its arguments",
    "context.call.labels": "the labels of its arguments",
    "context.call.deciders": "the labels of what decides its arguments",
    "context.call.guards": "what decides whether it happens",
    "context.call.rounds": "what decides how often it happens",
    "context.call.seen": "what was read before it",
    "context.call.recipient_sources": "where its recipient comes from",
    "context.call.amount_sources": "where its amount comes from",
    "context.call.amount_minor": "its amount in hundredths",
    "context.call.amount_known": "its amount is known",
    "context.call.today.writes": "write calls of its agent today",
    "context.call.today.recipients": "recipients of its agent today",
    "context.call.today.amount_minor": "amounts of its agent today in hundredths",
    "context.call.over_budget": "it would cross a budget of the day",
    "context.call.secrets": "the secrets in its arguments",
    "context.call.personal": "the personal data in its arguments",
    "context.answer.labels": "the labels of the answer",
    "context.answer.secrets": "the secrets in the answer",
    "context.prompt.refused_labels": "labels that the model may not be sent",
    "context.prompt.secrets": "the secrets in it",
    "context.prompt.personal": "the personal data in it",
    "context.model": "the model",
    "context.model.labels": "the labels of data that the model may be sent",
    "context.model.name": "the model",
    "resource.effect": "the tool's effect",
    "resource.tier": "the tool's risk tier",
    "resource.outward": "the tool reaches outward",
    "resource.labels": "the tool's labels",
    "resource.name": "the tool",
}
ACTIONS: Final = {
    "start_run": "starting a run",
    "use_model": "sending what was read to a model",
    "execute": "a program",
    "call": "a tool call",
    "release": "an answer",
    "change": "a change of the rules",
}
COMPARISONS: Final = {
    "eq": ("is", "is not"),
    "not_eq": ("is not", "is"),
    "less": ("is less than", "is at least"),
    "less_eq": ("is at most", "is more than"),
    "greater": ("is more than", "is at most"),
    "greater_eq": ("is at least", "is less than"),
    "in": ("is", "is not"),
    "contains": ("include", "do not include"),
    "contains_all": ("include all of", "do not include all of"),
    "contains_any": ("include any of", "include none of"),
    "has_tag": ("has the tag", "does not have the tag"),
    "is_in_range": ("is in the range", "is not in the range"),
}
"""What holds between two values, and what if it does not."""
OF_TIMES: Final = {
    "less": ("is before", "is not before"),
    "less_eq": ("is not after", "is after"),
    "greater": ("is after", "is not after"),
    "greater_eq": ("is not before", "is before"),
}
COMPUTED: Final = {
    "add": "({left} plus {right})",
    "sub": "({left} minus {right})",
    "mul": "({left} times {right})",
    "get_tag": "(the tag {right} of {left})",
    "offset": "({left} moved by {right})",
    "duration_since": "(the time from {right} to {left})",
}
PARTS: Final = {
    "to_date": "the day of {}",
    "to_time": "the time of day of {}",
    "to_milliseconds": "{} in milliseconds",
    "to_seconds": "{} in whole seconds",
    "to_minutes": "{} in whole minutes",
    "to_hours": "{} in whole hours",
    "to_days": "{} in whole days",
}
ADDRESSES: Final = {
    "is_ipv4": ("is an IPv4 address", "is no IPv4 address"),
    "is_ipv6": ("is an IPv6 address", "is no IPv6 address"),
    "is_loopback": ("is an address of the machine itself", "is no address of the machine itself"),
    "is_multicast": ("is a multicast address", "is no multicast address"),
}
VARIABLES: Final = {
    "principal": "who acts",
    "action": "what is asked",
    "resource": "what it acts on",
    "context": "the request",
}
ENTITIES: Final = {
    "Agent": "the agent {}",
    "Person": "the person {}",
    "Tool": "the tool {}",
    "Model": "the model {}",
    "Workspace": "the workspace {}",
    "Subject": "{}",
}
KINDS: Final = {
    "Agent": "an agent",
    "Person": "a person",
    "Tool": "a tool",
    "Model": "a model",
    "Workspace": "a workspace",
    "Subject": "what a change is about",
}
NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip

# A fact that holds or does not: what it says if it does, and if it does not.
FACTS: Final = {
    "resource.outward": ("the tool lets data out", "the tool lets no data out"),
    "context.program.has_effect": (
        "the program can have an effect",
        "the program can have no effect",
    ),
    "context.program.writes_counted": (
        "its write calls can be counted",
        "its write calls cannot be counted",
    ),
    "context.call.amount_known": ("the amount is known", "the amount is not known"),
    "context.call.over_budget": (
        "it would cross a budget of the day",
        "it crosses no budget of the day",
    ),
    "context.call.made_before": (
        "the run has made it before, with the same recipients and amounts",
        "the run has not made it before with the same recipients and amounts",
    ),
    "context.call.first_use": (
        "this version of the agent uses the tool for the first time",
        "this version of the agent has used the tool before",
    ),
}
# A set that is not empty, and one that is.
FILLED: Final = {
    "context.goal.secrets": ("the task contains what looks like a password or key", ""),
    "context.goal.personal": ("the task contains personal data", ""),
    "context.prompt.refused_labels": ("it has labels that the model may not be sent", ""),
    "context.prompt.secrets": (
        "it contains what looks like a password or key",
        "it contains nothing that looks like a password or key",
    ),
    "context.prompt.personal": (
        "it contains personal data",
        "no personal data is found in it",
    ),
    "context.program.problems": (
        "the program cannot be analysed",
        "the program can be analysed",
    ),
    "context.program.refused_imports": (
        "it imports something outside the allowed list",
        "it imports nothing outside the allowed list",
    ),
    "context.program.features": (
        "it uses features that hide what it does",
        "it uses no feature that hides what it does",
    ),
    "context.program.unmodelled": (
        "it has constructs that the analysis cannot follow",
        "the analysis can follow all of it",
    ),
    "context.program.rough": (
        "it is written in ways that the analysis follows only roughly",
        "it is written plainly",
    ),
    "context.program.touches": ("it can reach labelled data", "it can reach no labelled data"),
    "context.program.secrets": ("its text contains what looks like a password or key", ""),
    "context.program.personal": ("its text contains personal data", ""),
    "context.program.sql": ("its text contains SQL", ""),
    "context.program.hosts": ("its text names a host", "its text names no host"),
    "context.program.writes": ("it can write", "it cannot write"),
    "context.call.secrets": ("its arguments contain what looks like a password or key", ""),
    "context.call.personal": ("its arguments contain personal data", ""),
    "context.call.hosts": ("its arguments name a host", "its arguments name no host"),
    "context.answer.secrets": ("the answer contains what looks like a password or key", ""),
    "context.answer.personal": ("the answer contains personal data", ""),
}
# A set that has some of the items, and one that has none of them.
MEMBERS: Final = {
    "context.call.labels": ("its arguments contain {} data", "its arguments contain no {} data"),
    "context.call.seen": ("{} data was read before it", "no {} data was read before it"),
    "context.run.seen": ("the model has read {} data", "the model has read no {} data"),
    "context.program.touches": ("it can reach {} data", "it can reach no {} data"),
    "context.call.deciders": (
        "{} data has a say in its arguments",
        "no {} data has a say in its arguments",
    ),
    "context.call.guards": (
        "{} data decides whether it happens",
        "no {} data decides whether it happens",
    ),
    "context.call.rounds": (
        "{} data decides how often it happens",
        "no {} data decides how often it happens",
    ),
    "context.call.roles": ("it has an argument that is {}", "it has no argument that is {}"),
    "context.call.hosts": ("its arguments name the host {}", "its arguments do not name {}"),
    "context.call.emails": ("its arguments name the address {}", "its arguments do not name {}"),
    "context.call.amount_sources": (
        "the amount comes from {}",
        "the amount does not come from {}",
    ),
    "context.call.recipient_tools": (
        "the recipient comes from the tool {}",
        "the recipient does not come from the tool {}",
    ),
    "context.program.imports": ("it imports {}", "it does not import {}"),
    "context.program.tools": ("it may call {}", "it may not call {}"),
    "context.program.reads": ("it reads {} data", "it reads no {} data"),
    "context.program.sent": ("it lets {} data out", "it lets no {} data out"),
    "context.answer.choices": (
        "{} data has a say in the answer",
        "no {} data has a say in the answer",
    ),
    "context.answer.labels": ("the answer contains {} data", "the answer contains no {} data"),
    "context.prompt.labels": ("it contains {} data", "it contains no {} data"),
    "context.prompt.secrets": ("it contains a {}", "it contains no {}"),
    "context.prompt.personal": ("it contains {}", "no {} are found in it"),
    "context.call.personal": ("its arguments contain {}", "its arguments contain no {}"),
    "context.answer.personal": ("the answer contains {}", "the answer contains no {}"),
    "context.goal.personal": ("the task contains {}", "the task contains no {}"),
    "context.program.personal": ("its text contains {}", "its text contains no {}"),
    "context.model.labels": ("the model may be sent {} data", "the model may not be sent {} data"),
    "resource.labels": ("the tool returns {} data", "the tool returns no {} data"),
}
# A set with nothing but the items, and one with something else.
ONLY: Final = {
    "context.call.hosts": (
        "its arguments name no host but {}",
        "its arguments name a host other than {}",
    ),
    "context.call.emails": (
        "its arguments name no address but {}",
        "its arguments name an address other than {}",
    ),
    "context.call.recipient_sources": (
        "the recipient comes from {} alone",
        "the recipient comes from elsewhere than {}",
    ),
    "context.call.recipient_tools": (
        "the recipient comes from no tool but {}",
        "the recipient comes from another tool than {}",
    ),
    "context.call.labels": (
        "its arguments contain no data but {}",
        "its arguments contain other data than {}",
    ),
    "context.program.imports": ("it imports nothing but {}", "it imports more than {}"),
}
SOURCES: Final = {
    "literal": "the agent wrote the recipient into its program",
    "unknown": "it is not known where the recipient comes from",
    "task": "the recipient comes from the task",
    "tool": "the recipient comes from a tool",
    "step": "the recipient comes from an earlier step",
}
SOURCE_NAMES: Final = {
    "task": "the task", "tool": "a tool", "literal": "the program", "step": "an earlier step",
}  # fmt: skip
PERSONAL: Final = {
    "card": "payment card numbers",
    "email": "mail addresses",
    "iban": "IBAN account numbers",
    "person": "identity numbers of persons",
    "phone": "phone numbers",
}
"""Kinds of personal data that are found in text (`facts/sensitive.py`)."""
SPENT: Final = {
    "tool_calls": "{} tool calls",
    "writes": "{} write calls",
    "steps": "{} steps",
    "seconds": "{} seconds of work",
    "tokens": "{} tokens of the model",
}
TODAY: Final = {
    "context.call.today.writes": "made {} write calls",
    "context.call.today.recipients": "reached {} recipients",
}
BOUNDS: Final = {
    "greater": "more than {}",
    "greater_eq": "at least {}",
    "less": "less than {}",
    "less_eq": "at most {}",
    "eq": "exactly {}",
    "not_eq": "not exactly {}",
}
OPPOSITE: Final = {
    "greater": "less_eq", "less_eq": "greater", "less": "greater_eq", "greater_eq": "less",
    "eq": "not_eq", "not_eq": "eq",
}  # fmt: skip
MIRROR: Final = {
    "greater": "less", "less": "greater", "greater_eq": "less_eq", "less_eq": "greater_eq",
}  # fmt: skip
TIERS: Final = {
    "eq": "the tool is of risk tier {}",
    "not_eq": "the tool is not of risk tier {}",
    "greater_eq": "the tool is of risk tier {} or higher",
    "less_eq": "the tool is of risk tier {} or lower",
    "greater": "the tool is of a risk tier above {}",
    "less": "the tool is of a risk tier below {}",
}
