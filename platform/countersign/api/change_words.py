"""What a request for a change would change, in sentences. Pure.

Made from what the request displays, which is what people sign; values of strangers stand in them
as they are, so whoever shows them escapes them.
"""

from collections.abc import Mapping
from typing import Any


def sentences(displayed: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing that would be different."""
    said = [line for change in displayed.get("changes", ()) for line in _change(change)]
    said += [
        f"The required test “{name}” of the policy in force would fail."
        for name in displayed.get("failing_tests", ())
    ]
    return said + _policy(displayed)


def _change(change: Mapping[str, Any]) -> list[str]:
    name = f"{str(change['kind']).capitalize()} {change['name']}"
    if change.get("from"):
        name += f", version {change['from']} to {change['to']}"
    elif change.get("to"):
        name += ", new"
    return [f"{name}: {_field(field)}" for field in change["fields"]]


def _field(field: Mapping[str, Any]) -> str:
    if "lines" in field:
        added = sum(line.startswith("+") for line in field["lines"])
        cut = sum(line.startswith("-") for line in field["lines"])
        return f"{field['field']} changes by {added} lines added and {cut} taken out"
    before, after = (
        f"“{field[when]}”" if field.get(when) else "empty" for when in ("before", "after")
    )
    return f"{field['field']} is {after}, was {before}"


def _policy(displayed: Mapping[str, Any]) -> list[str]:
    difference = displayed.get("readiness", {}).get("difference", {})
    said = [_rule(rule) for rule in difference.get("rules", ())]
    promises = displayed.get("promises", {})
    said += ["An invariant is added."] * len(promises.get("added", ()))
    said += ["An invariant is taken out."] * len(promises.get("removed", ()))
    return said


def _rule(rule: Mapping[str, Any]) -> str:
    before, after = rule.get("before"), rule.get("after")
    if not before:
        return f"Rule {rule['id']} is new: {after}"
    if not after:
        return f"Rule {rule['id']} is taken out; it said: {before}"
    return f"Rule {rule['id']} says: {after} It said: {before}"
