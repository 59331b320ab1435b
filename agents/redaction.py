"""Takes fields out of what a tool answered, before program, model or journal see it. Pure."""

from collections.abc import Collection

from audit.canonical import JSON

WITHHELD = "[withheld by policy]"


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
