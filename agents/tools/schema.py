"""From Python type hints to JSON Schema, and between JSON values and Python values. Pure.

Accepted: `str`, `int`, `float`, `bool`, `None` in a union, `Literal`, `Enum`, `date`, `datetime`,
`time`, `UUID`, `Decimal`, `list[T]`, `dict[str, T]`, `TypedDict`, dataclasses, pydantic models and
unions of these, each also inside `Annotated[T, Field(…)]`.
Everything else is refused when the tool is defined. A schema is self-contained (no `$ref`), so
that policies, forms and prompts can read it as it is; a type that contains itself is refused.

`Decimal` travels as text (`"12.50"`): a binary fraction has no exact amount.
"""

import copy
import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import pydantic
import typing_extensions
from jsonschema import Draft202012Validator, FormatChecker
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticSerializationError, core_schema, to_jsonable_python

from agents.tools.errors import ToolDefinitionError

MAX_DEPTH = 60
MAX_INTEGER = 2**53 - 1
"""RFC 7493 §2.2: beyond it JSON numbers are not the same number everywhere."""

DECIMAL_PATTERN = r"^-?\d{1,30}(\.\d{1,20})?$"
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_PLAIN = (str, int, float, bool, date, datetime, time, UUID, Decimal, type(None))
_MAX_SHOWN = 200


class JSONValueError(ValueError):
    """A value is no plain JSON; the sentence says where."""


class _Generator(GenerateJsonSchema):
    """pydantic's schemas, with decimals as text only."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "string", "format": "decimal", "pattern": DECIMAL_PATTERN}


def adapter(hint: Any, where: str) -> pydantic.TypeAdapter[Any]:  # noqa: ANN401 - a type
    """The converter of one type hint.

    Raises:
        ToolDefinitionError: the type is not accepted; names `where` it stands.
    """
    _check(hint, where, ())
    try:
        return pydantic.TypeAdapter(_portable(hint))
    except (pydantic.PydanticUserError, TypeError, NameError) as fault:
        raise ToolDefinitionError(f"{where}: {_shown(hint)} cannot be described: {fault}") from None


def json_schema(converter: pydantic.TypeAdapter[Any], where: str) -> dict[str, Any]:
    """The JSON Schema of a converter's type, self-contained and closed.

    Raises:
        ToolDefinitionError: the type contains itself or has no schema.
    """
    try:
        schema = converter.json_schema(schema_generator=_Generator, mode="validation")
    except pydantic.errors.PydanticInvalidForJsonSchema as fault:
        raise ToolDefinitionError(f"{where} has no JSON form: {fault}") from None
    definitions = schema.pop("$defs", {})
    tidy: dict[str, Any] = _tidied(schema, definitions, where, ())
    return tidy


def require_json(value: object, where: str = "the value") -> None:
    """Checks that a value is plain JSON that is the same everywhere.

    Raises:
        JSONValueError: a type, number, text or depth that is not; says where.
    """
    _require(value, where, 0)


def to_json(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A tool's Python result as JSON: dates, enums, models and the like in their JSON form.

    Raises:
        JSONValueError: it has none.
    """
    try:
        plain = to_jsonable_python(value, inf_nan_mode="constants", bytes_mode="utf8")
    except (PydanticSerializationError, ValueError, RecursionError, TypeError) as fault:
        raise JSONValueError(f"the result is no JSON: {str(fault)[:_MAX_SHOWN]}") from None
    require_json(plain, "the result")
    return plain


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """A validator that also checks the formats our types use."""
    return Draft202012Validator(schema, format_checker=_FORMATS)


def problems(checker: Draft202012Validator, value: object, limit: int = 5) -> list[str]:
    """What is wrong with a value, one sentence each, the first few."""
    found = sorted(checker.iter_errors(value), key=lambda error: list(map(str, error.path)))
    return [_sentence(error) for error in found[:limit]]


def _sentence(error: Any) -> str:  # noqa: ANN401 - jsonschema's error
    # `best` names the reason inside a union instead of "not valid under any".
    best = min(error.context, key=lambda inner: -len(inner.path), default=None)
    place = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path
    ).lstrip(".")
    reason = error.message if best is None else f"{error.message[:80]} ({best.message})"
    text = reason if len(reason) <= _MAX_SHOWN else reason[:_MAX_SHOWN] + "…"
    return f"{place}: {text}" if place else text


def _check(hint: Any, where: str, seen: tuple[Any, ...]) -> None:  # noqa: ANN401 - a type
    """Refuses types whose JSON form would be vague.

    Raises:
        ToolDefinitionError: names the type and what to use instead.
    """
    if any(hint is outer for outer in seen):
        raise ToolDefinitionError(f"{where}: {_shown(hint)} contains itself; give it a flat form")
    origin = get_origin(hint)
    if origin in _WRAPPERS:
        _check(get_args(hint)[0], where, seen)
    elif origin is Literal:
        if not all(isinstance(item, str | int | bool) for item in get_args(hint)):
            raise ToolDefinitionError(f"{where}: a Literal may hold text, numbers and booleans")
    elif origin in (Union, types.UnionType):
        for part in get_args(hint):
            _check(part, where, seen)
    elif hint in (list, dict) or origin in (list, dict):
        _check_container(hint, where, seen)
    elif hint not in _PLAIN:
        _check_class(hint, where, seen)


def _check_container(hint: Any, where: str, seen: tuple[Any, ...]) -> None:  # noqa: ANN401
    parts = get_args(hint)
    if not parts:
        raise ToolDefinitionError(f"{where}: say what {_shown(hint)} holds, such as list[str]")
    if get_origin(hint) is dict and parts[0] is not str:
        raise ToolDefinitionError(f"{where}: the keys of {_shown(hint)} must be str, as in JSON")
    _check(parts[-1], where, seen)


def _check_class(hint: Any, where: str, seen: tuple[Any, ...]) -> None:  # noqa: ANN401 - a type
    if isinstance(hint, type) and issubclass(hint, Enum):
        if not all(isinstance(member.value, str | int) for member in hint):
            raise ToolDefinitionError(f"{where}: the values of {_shown(hint)} must be str or int")
        return
    fields = _fields(hint)
    if fields is None:
        raise ToolDefinitionError(
            f"{where}: {_shown(hint)} has no exact JSON form; use str, int, float, bool, Decimal, "
            "date, datetime, UUID, Enum, Literal, list[T], dict[str, T], a TypedDict, a dataclass "
            "or a pydantic model"
        )
    for name, inner in fields.items():
        _check(inner, f"{where}.{name}", (*seen, hint))


def _fields(hint: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a type
    """Names and hints of a record type; None for any other."""
    if typing.is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return typing.get_type_hints(hint, include_extras=True)
    if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        return {name: field.annotation for name, field in hint.model_fields.items()}
    return None


def _shown(hint: Any) -> str:  # noqa: ANN401 - a type
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _portable(hint: Any) -> Any:  # noqa: ANN401 - a type
    """The same type with `typing.TypedDict` rebuilt: before Python 3.12 pydantic cannot read it."""
    if typing.is_typeddict(hint):
        fields = {
            name: _portable(inner) if name in hint.__required_keys__ else _optional(inner)
            for name, inner in typing.get_type_hints(hint, include_extras=True).items()
        }
        return typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[operator]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_portable(parts[0]), *parts[1:])]
    if origin in _WRAPPERS:
        return _portable(parts[0])
    if origin in (Union, types.UnionType):
        return Union[tuple(_portable(part) for part in parts)]  # noqa: UP007 - built at run time
    if origin in (list, dict):
        return origin[tuple(_portable(part) for part in parts)]
    return hint


def _optional(hint: Any) -> Any:  # noqa: ANN401 - a type
    return typing.NotRequired[_portable(hint)]


def _tidied(
    schema: Any,  # noqa: ANN401 - any part of a schema
    definitions: Mapping[str, Any],
    where: str,
    seen: tuple[str, ...],
) -> Any:  # noqa: ANN401
    """Without `$ref` and generated titles; objects with known properties are closed."""
    if isinstance(schema, list):
        return [_tidied(item, definitions, where, seen) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    reference = schema.pop("$ref", None)
    if reference is not None:
        name = str(reference).rsplit("/", 1)[-1]
        if name in seen:
            raise ToolDefinitionError(f"{where}: {name} contains itself; give it a flat form")
        inner = _tidied(copy.deepcopy(definitions[name]), definitions, where, (*seen, name))
        return {**inner, **_tidied(schema, definitions, where, seen)}
    if isinstance(schema.get("title"), str):
        del schema["title"]
    tidy = {key: _tidied_part(key, part, definitions, where, seen) for key, part in schema.items()}
    if "properties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _tidied_part(
    key: str,
    part: Any,  # noqa: ANN401
    definitions: Mapping[str, Any],
    where: str,
    seen: tuple[str, ...],
) -> Any:  # noqa: ANN401
    if key in ("default", "const", "enum", "examples"):
        return part
    if key == "properties":
        return {name: _tidied(item, definitions, where, seen) for name, item in part.items()}
    return _tidied(part, definitions, where, seen)


def _require(value: object, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise JSONValueError(f"{where} is nested more than {MAX_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _require_text(value, where)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise JSONValueError(f"{where} is a whole number beyond ±(2**53-1); pass it as text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise JSONValueError(f"{where} is {value}, which JSON cannot say")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _require(item, f"{where}[{place}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise JSONValueError(f"{where} has a key that is no text: {key!r:.80}")
            _require_text(key, f"a key of {where}")
            _require(item, f"{where}.{key:.80}", depth + 1)
    else:
        raise JSONValueError(f"{where} is a {type(value).__name__}, not a JSON value")


def _require_text(text: str, where: str) -> None:
    if _NOT_TEXT.search(text) is not None:
        raise JSONValueError(f"{where} holds characters that are no text")


def _parses(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return check


_WRAPPERS = (Annotated, typing.NotRequired, typing.Required)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_FORMATS = FormatChecker(formats=())


def _matches_email(value: str) -> None:
    if _EMAIL.fullmatch(value) is None:
        raise ValueError("no e-mail address")


for _name, _parse in (
    ("date", date.fromisoformat),
    ("date-time", datetime.fromisoformat),
    ("time", time.fromisoformat),
    ("uuid", UUID),
    ("decimal", Decimal),
    ("email", _matches_email),
):
    _FORMATS.checks(_name, raises=(ValueError, ArithmeticError))(_parses(_parse))
