"""What is registered: models, tools and agents, from one readable file.

`format` says what the file looks like and checks it (`text` and `section` read YAML with its
lines); `plan` says what it would make of what is registered now; `service` stores versions and is
the only writer of their tables; `proposal` is the road of every change after the first one.
"""

from agents.registry.apis import documents_of
from agents.registry.proposal import Proposal, propose
from agents.registry.service import Registered, is_set_up, register, spec_of, tool_specs

__all__ = [
    "Proposal",
    "Registered",
    "documents_of",
    "is_set_up",
    "propose",
    "register",
    "spec_of",
    "tool_specs",
]
