"""Takes fields out of what a tool answered, before program, model or journal see it. Pure.

A file has no fields that could be taken out: where a rule withholds any, the files of the same
answer are withheld whole, and the answer says so in their place.
"""

from collections.abc import Collection, Sequence

from agents.sandbox.contract import GivenFile
from audit.canonical import JSON

WITHHELD = "[withheld by policy]"


def told(
    value: JSON, files: Sequence[GivenFile], fields: Collection[str]
) -> tuple[JSON, Sequence[GivenFile]]:
    """What of an answer and its files may be told where these fields may not."""
    value = redacted(value, fields)
    if not fields or not files:
        return value, files
    why = (
        f"[file withheld by policy: a rule withholds {', '.join(sorted(fields))} of what this tool"
        " answers, and nobody can look for that in a file]"
    )
    return _without_files(value, {file.name for file in files}, why), ()


def redacted(value: JSON, fields: Collection[str]) -> JSON:
    """The value with every field of these names replaced, at any depth.

    Names are compared without case. A field stays, so that a program finds it and fails on its
    value rather than on its absence.
    """
    names = {name.casefold() for name in fields}
    return _without(value, names) if names else value


def _without(value: JSON, names: Collection[str]) -> JSON:
    if isinstance(value, dict):
        return {
            key: WITHHELD if key.casefold() in names else _without(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    return value


def _without_files(value: JSON, names: Collection[str], why: str) -> JSON:
    if isinstance(value, dict):
        if value.get("artifact") in names:
            return why
        return {key: _without_files(item, names, why) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_files(item, names, why) for item in value]
    return value
