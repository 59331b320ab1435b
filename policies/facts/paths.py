"""Paths to what stands inside an argument: `order.to.iban`.

A path is names joined by dots. Lists are looked through: `lines.iban` is the `iban` of every
line. Roles are given to paths as to arguments, so that a recipient is one wherever it stands.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 8
"""What is nested deeper counts for what contains it."""


def value_at(arguments: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a path; a list where there are several, None where there is none."""
    if path in arguments:
        return arguments[path]
    name, *_ = path.split(".")
    found = [value for at, value in inside(name, arguments.get(name)) if at == path]
    return found if len(found) > 1 else next(iter(found), None)


def inside(path: str, value: object, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """Path and value of all that is named inside `value`, which stands at `path`."""
    if isinstance(value, list | tuple):
        for item in value if depth else ():
            yield from inside(path, item, depth - 1)
    elif isinstance(value, Mapping):
        for name, item in value.items() if depth else ():
            at = below(path, str(name))
            yield at, item
            yield from inside(at, item, depth - 1)


def below(path: str, name: str) -> str:
    """The path of `name` in what stands at `path`; a dot in it makes it nothing else's path."""
    return f"{path}..{name}" if "." in name else f"{path}.{name}"


def enclosing(path: str) -> Iterator[str]:
    """What contains `path`, from the nearest."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def of_schema(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Paths of all properties that a JSON Schema of arguments names inside them."""
    return (path for path in _below("", parameters, parameters, MAX_DEPTH) if "." in path)


def _below(path: str, schema: object, root: Mapping[str, Any], depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or not depth:
        return
    for name, inner in _mapping(schema.get("properties")).items():
        at = f"{path}.{name}" if path else str(name)
        yield at
        yield from _below(at, inner, root, depth - 1)
    for inner in variants(schema, root):
        yield from _below(path, inner, root, depth - 1)


def variants(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[object]:
    """The schemas that describe the same value, or the elements of it."""
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        options = schema.get(word)
        yield from options if isinstance(options, list) else ()
    if "items" in schema:
        yield schema["items"]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        for book in ("$defs", "definitions"):
            yield _mapping(root.get(book)).get(reference.removeprefix(f"#/{book}/"))


def is_open(schema: object, root: Mapping[str, Any], depth: int = MAX_DEPTH) -> bool:
    """Whether a schema takes objects, or lists of them, without naming their fields."""
    if not isinstance(schema, Mapping) or not depth:
        return False
    kinds = schema.get("type")
    if "object" in (kinds if isinstance(kinds, list) else [kinds]):
        return not _mapping(schema.get("properties"))
    return any(is_open(inner, root, depth - 1) for inner in variants(schema, root))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
