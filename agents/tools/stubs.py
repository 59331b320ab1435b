"""Shows a tool to a model: a Python signature with its docstring, from the schemas. Pure."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from agents.tools.definition import ToolDefinition

_WIDTH = 96
_MAX_CHOICES = 12
_MAX_FIELDS = 40
_PLAIN = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "array": "list",
    "object": "dict",
}
_FORMATS = {
    "date": 'date as text, such as "2026-11-22"',
    "date-time": 'time as text, such as "2026-11-22T09:30:00Z"',
    "decimal": 'exact number as text, such as "12.50"',
}


def render(definition: ToolDefinition) -> str:
    """A stub: what the program may write, and what it will get.

    A write says so, because it may wait for a person; the result's shape is spelled out, so that
    a program can use it in the same step.
    """
    names = [argument.name for argument in definition.arguments]
    return render_schemas(
        name=definition.name,
        description=definition.description,
        parameters=definition.parameters,
        order=names,
        result=definition.result,
        writes=definition.effect == "write",
    )


def render_schemas(
    *,
    name: str,
    description: str,
    parameters: Mapping[str, Any],
    order: Sequence[str],
    result: Mapping[str, Any],
    writes: bool,
) -> str:
    """The stub of any tool that is described by schemas, whatever is behind it."""
    properties = parameters.get("properties", {})
    required = set(parameters.get("required", ()))
    signature = ", ".join(_parameter(key, properties[key], key in required) for key in order)
    lines = [f"def {name}({signature}) -> {type_name(result)}:"]
    body = [*_paragraphs(description)]
    if writes:
        body += ["", "This acts on the outside world; it may have to wait for a person."]
    if order:
        body += ["", "Args:"]
        body += [line for key in order for line in _entry(key, properties[key])]
    returns = _returns(result)
    if returns:
        body += ["", "Returns:", *returns]
    text = "\n".join(body).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return "\n".join([*lines, textwrap.indent(f'"""{text}\n"""', "    ")])


def type_name(schema: Mapping[str, Any]) -> str:
    """A schema as a Python type, as far as one line can say it."""
    if "const" in schema:
        return f"Literal[{_literal(schema['const'])}]"
    if "enum" in schema:
        choices = [_literal(item) for item in schema["enum"][:_MAX_CHOICES]]
        return f"Literal[{', '.join(choices)}]"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            parts = [type_name(part) for part in schema[key]]
            return " | ".join(dict.fromkeys(parts))
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        return " | ".join(_PLAIN.get(item, "object") for item in kind)
    if kind == "array" and schema.get("items"):
        return f"list[{type_name(schema['items'])}]"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, Mapping):
        return f"dict[str, {type_name(values)}]"
    return _PLAIN.get(str(kind), "object")


def _parameter(name: str, schema: Mapping[str, Any], required: bool) -> str:
    shown = f"{name}: {type_name(schema)}"
    return shown if required else f"{shown} = {_literal(schema.get('default'))}"


def _entry(name: str, schema: Mapping[str, Any]) -> list[str]:
    text = f"{name}: {schema.get('description', '')}".rstrip(": ")
    fields = _shape(schema)
    details = [_FORMATS[schema["format"]]] if schema.get("format") in _FORMATS else []
    details += [f"one of {fields}"] if fields and schema.get("type") == "array" else []
    details += [fields] if fields and schema.get("type") == "object" else []
    if details:
        text += f" ({'; '.join(details)})"
    return _wrapped(text)


def _returns(schema: Mapping[str, Any]) -> list[str]:
    kind = type_name(schema)
    if kind == "None":
        return []
    said = schema.get("description", "")
    shape = _shape(schema)
    listed = schema.get("type") == "array"
    parts = [said, f"Each is {shape}" if shape and listed else shape]
    if not any(parts) and schema.get("format") in _FORMATS:
        parts = [_FORMATS[schema["format"]]]
    return _wrapped(" ".join(part for part in parts if part) or kind)


def _shape(schema: Mapping[str, Any]) -> str:
    """The keys of an object, or of a list's objects: `{number: str, amount_cents: int}`."""
    if schema.get("type") == "array":
        return _shape(schema.get("items", {}))
    for key in ("anyOf", "oneOf"):
        shapes = [shape for part in schema.get(key, ()) if (shape := _shape(part))]
        if shapes:
            return " or ".join(shapes)
    properties = schema.get("properties")
    if not properties:
        return ""
    optional = set(properties) - set(schema.get("required", ()))
    fields = [
        f"{name}{'?' if name in optional else ''}: {_nested(part)}"
        for name, part in list(properties.items())[:_MAX_FIELDS]
    ]
    return "{" + ", ".join(fields) + "}"


def _nested(schema: Mapping[str, Any]) -> str:
    shape = _shape(schema)
    if not shape:
        return type_name(schema)
    return f"list[{shape}]" if schema.get("type") == "array" else shape


def _literal(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for place, paragraph in enumerate(text.split("\n\n")):
        lines += [""] if place else []
        lines += textwrap.wrap(paragraph, _WIDTH)
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="    ", subsequent_indent="        ", break_long_words=False
    )
