"""Success checks of an agent version: what must be true of a final answer. Pure."""

from collections.abc import Mapping, Sequence

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from audit.canonical import JSON


def problem(checks: Sequence[Mapping[str, JSON]], answer: JSON) -> str:
    """The first check that the answer does not meet, in words for the agent; "" if it meets all."""
    for check in checks:
        fault = best_match(Draft202012Validator(check["schema"]).iter_errors(answer))
        if fault is not None:
            where = ".".join(str(part) for part in fault.absolute_path) or "the answer"
            return f"{check['says']} ({where}: {fault.message[:500]})"
    return ""
