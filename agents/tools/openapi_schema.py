"""From the schemas of an OpenAPI document to JSON Schema that stands by itself. Pure.

OpenAPI 3.0 has a dialect of its own (`nullable`, boolean `exclusiveMinimum`), 3.1 is JSON Schema
2020-12; both become plain 2020-12 without `$ref`. References within the document are written out,
to a depth and a size; a reference to anywhere else is refused, since it would be read at another
time than the document was looked at. A schema that contains itself is refused for arguments (an
agent and a policy must see all that may be said) and open at that place for results.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_DEPTH = 40
MAX_NODES = 5_000
MAX_SAFE_NUMBER = 2**53 - 1
MAX_DESCRIPTION_CHARS = 400

_ASSERTIONS = frozenset(
    [
        "type",
        "enum",
        "const",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxContains",
        "minContains",
        "maxProperties",
        "minProperties",
        "required",
        "dependentRequired",
        "format",
        "default",
        "description",
    ]
)
_INNER = frozenset(
    [
        "items",
        "additionalProperties",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_BOUNDS = frozenset({"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"})


class DocumentError(ValueError):
    """A document, or a part of it, cannot become a tool.

    Attributes:
        place: path of the part within the document.
        sentence: what is wrong and what to do.
    """

    def __init__(self, place: tuple[str | int, ...], sentence: str) -> None:
        super().__init__(sentence)
        self.place, self.sentence = place, sentence


def resolve(
    document: Mapping[str, Any],
    part: Any,  # noqa: ANN401 - any part of a document
    place: tuple[str | int, ...],
) -> tuple[Any, tuple[str | int, ...]]:
    """A part and its place, references followed until one stands there itself.

    Raises:
        DocumentError: it refers to another document, to nothing, or in a circle.
    """
    for _ in range(MAX_DEPTH):
        if not isinstance(part, Mapping) or "$ref" not in part:
            return part, place
        target = part["$ref"]
        if not isinstance(target, str) or not target.startswith("#/"):
            raise DocumentError(
                place, f"$ref {target!r:.80} leaves the document; put what it names into it"
            )
        place = tuple(step.replace("~1", "/").replace("~0", "~") for step in target[2:].split("/"))
        part = _at(document, place, target)
    raise DocumentError(place, "a $ref leads in a circle")


def _at(document: Mapping[str, Any], place: tuple[str | int, ...], target: str) -> Any:  # noqa: ANN401
    found: Any = document
    for step in place:
        if not isinstance(found, Mapping) or step not in found:
            raise DocumentError(place, f"$ref {target:.80} names nothing")
        found = found[step]
    return found


@dataclass
class Converter:
    """Converts the schemas of one document, for one direction.

    Attributes:
        old: the document is OpenAPI 3.0.
        direction: `in` for arguments, `out` for results.
    """

    document: Mapping[str, Any]
    old: bool
    direction: Literal["in", "out"]
    _nodes: int = field(default=0, init=False)

    def convert(self, schema: Any, place: tuple[str | int, ...]) -> dict[str, Any]:  # noqa: ANN401
        """The schema, self-contained.

        Raises:
            DocumentError: it cannot be written out.
        """
        return self._converted(schema, place, ())

    def _converted(
        self,
        schema: Any,  # noqa: ANN401 - any part of a document
        place: tuple[str | int, ...],
        seen: tuple[tuple[str | int, ...], ...],
    ) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(seen) > MAX_DEPTH or len(place) > 3 * MAX_DEPTH:
            raise DocumentError(place, "the schema is too large when it is written out")
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            raise DocumentError(place, "this must be a schema")
        if "$ref" in schema:
            return self._referred(schema, place, seen)
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            raise DocumentError(place, "dynamic references are not read; write the schema out")
        made = self._keywords(schema, place, seen)
        self._hide(schema, made)
        if self.old:
            _modernise(schema, made)
        if self.direction == "in" and "properties" in made and "additionalProperties" not in made:
            made["additionalProperties"] = False
        return made

    def _referred(
        self,
        schema: Mapping[str, Any],
        place: tuple[str | int, ...],
        seen: tuple[tuple[str | int, ...], ...],
    ) -> dict[str, Any]:
        target, there = resolve(self.document, {"$ref": schema["$ref"]}, place)
        if there in seen:
            if self.direction == "out":
                return {}
            raise DocumentError(there, "the schema contains itself; give it a flat form")
        inner = self._converted(target, there, (*seen, there))
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if self.old or not beside:
            return inner
        return {**inner, **self._converted(beside, place, seen)}

    def _keywords(
        self,
        schema: Mapping[str, Any],
        place: tuple[str | int, ...],
        seen: tuple[tuple[str | int, ...], ...],
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in schema.items():
            at = (*place, key)
            if key in _INNER:
                made[key] = self._converted(value, at, seen)
            elif key in _LISTS and isinstance(value, list):
                made[key] = [
                    self._converted(item, (*at, index), seen) for index, item in enumerate(value)
                ]
            elif key in _MAPS and isinstance(value, Mapping):
                made[key] = {
                    str(name): self._converted(item, (*at, str(name)), seen)
                    for name, item in value.items()
                }
            elif key in _ASSERTIONS:
                self._assertion(made, key, value, at)
        return made

    def _assertion(
        self,
        made: dict[str, Any],
        key: str,
        value: Any,  # noqa: ANN401 - JSON
        place: tuple[str | int, ...],
    ) -> None:
        if key == "description":
            value = " ".join(str(value).split())[:MAX_DESCRIPTION_CHARS]
        if key in _BOUNDS and isinstance(value, int | float) and abs(value) > MAX_SAFE_NUMBER:
            return  # Numbers beyond it are refused everywhere, so the bound says nothing.
        if key == "pattern" and not _compiles(value):
            if self.direction == "out":
                return
            raise DocumentError(place, f"the pattern {value!r:.80} is not one that can be checked")
        made[key] = value

    def _hide(self, schema: Mapping[str, Any], made: dict[str, Any]) -> None:
        """Leave out what travels only the other way."""
        flag = "readOnly" if self.direction == "in" else "writeOnly"
        hidden = set()
        for name, item in dict(schema.get("properties") or {}).items():
            part, _ = resolve(self.document, item, ())
            if isinstance(part, Mapping) and part.get(flag) is True:
                hidden.add(str(name))
        for name in hidden:
            del made["properties"][name]
        if hidden and isinstance(made.get("required"), list):
            made["required"] = [name for name in made["required"] if name not in hidden]


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, with null allowed as well; its description stays in front."""
    described = {key: schema[key] for key in ("description", "default") if key in schema}
    if "type" in schema and "enum" not in schema and "const" not in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, *(["null"] if "null" not in kinds else [])]}
    if not set(schema) - {"description", "default"}:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key not in described}
    return {**described, "anyOf": [rest, {"type": "null"}]}


def _modernise(schema: Mapping[str, Any], made: dict[str, Any]) -> None:
    """The dialect of OpenAPI 3.0 in the words of JSON Schema 2020-12, in place."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
            made[exclusive] = made.pop(bound)
    if schema.get("nullable") is True:
        changed = nullable(made)
        made.clear()
        made.update(changed)


def _compiles(pattern: object) -> bool:
    try:
        re.compile(str(pattern))
    except re.error:
        return False
    return isinstance(pattern, str)
