"""Runs of agents: from a task to an answer, with every effect decided, signed and recorded.

Doors call `services` and read `selectors`; `tasks` wakes a worker, which opens a `session` and
turns the `loop`. In each turn `gate` asks the policy, the `broker` stands between the program and
its tools, and the `journal` writes what happened. What these work with has a folder each:

- what the model reads and says: `prompts`, `conversation`, `llm`;
- what runs, and what it may reach: `sandbox`, `tools`, `files`;
- what people do: `registry` of models, tools and agents, `approvals`, `kill_switches`, `budgets`;
- what keeps a run going: `worker`, `replay`.
"""
