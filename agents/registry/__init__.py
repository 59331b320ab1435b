"""What is registered: models, tools and agents, from one readable file.

`format` says what the file looks like and checks it (`text` and `section` read YAML with its
lines); `service` stores versions of it and is the only writer of their tables.
"""

from agents.registry.service import Registered, register, spec_of, tool_specs

__all__ = ["Registered", "register", "spec_of", "tool_specs"]
