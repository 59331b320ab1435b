"""The policies a workspace starts with; `starter.cedar` is written to be read."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from policies import cases, requests
from policies.requests import RunContext

_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


@lru_cache(maxsize=1)
def starter_text() -> str:
    """Cedar text of the starter policy set."""
    return (Path(__file__).parent / "starter.cedar").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def starter_tests() -> tuple[dict[str, Any], ...]:
    """Required tests of the starter policy set; they hold whatever tools are registered."""
    start = requests.start_run(RunContext(now=_NOON), "A task.")
    goal = {"secrets": ["password"], "personal": [], "characters": 7}
    start = replace(start, context={**start.context, "goal": goal})
    change = requests.change(person="someone", kind="policy", summary="", tier=4, now=_NOON)
    return (
        cases.program("A sum is allowed", "print(sum(range(10)))", "allow"),
        cases.program("What cannot be read is denied", "def (:", "deny"),
        cases.program("Opening a host file is denied", "open('/etc/passwd').read()", "deny"),
        cases.program("Hidden code is denied", "exec('pass')", "deny"),
        cases.program("Processes are denied", "import subprocess", "deny"),
        cases.stored("A password in the task is denied", start.to_json(), "deny"),
        cases.stored("A change of policy needs a second officer", change.to_json(), "review"),
    )
