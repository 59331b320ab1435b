"""Makes a tool of a plain function: `@tool(effect="read")`.

The type hints become the JSON Schema, the Google-style docstring the descriptions, the rest is
said in the decorator. Everything is checked here, when the module is imported, so that a tool that
exists is a tool that works; the errors say what to change.

    @tool(effect="write", tier=3, roles={"account": "recipient"}, idempotent=True)
    def create_payment(account: str, amount: Decimal, context: ToolContext) -> Payment:
        \"\"\"Create one payment draft.

Args:
            account: IBAN of the recipient.
            amount: In euros, such as "12.50".
        \"\"\"
"""

import inspect
import keyword
import math
import re
import typing
from collections.abc import Callable, Collection, Mapping
from tokenize import TokenError
from typing import Any, Literal

from agents.tools import docstring, schema
from agents.tools.context import ToolContext
from agents.tools.definition import MISSING, Argument, Effect, ToolDefinition
from agents.tools.errors import ToolDefinitionError
from policies.facts.paths import is_open, of_schema

__all__ = ["Effect", "ToolDefinition", "tool"]

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_MAX_RESULT_BYTES = 100_000
MAX_TIMEOUT_S = 3600.0
MAX_RESULT_BYTES = 10_000_000
MAX_TIER = 4

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_TAKEN = frozenset({"final_answer", "print", "inputs"})


def tool(
    *,
    effect: Literal["read", "write"],
    tier: int = 0,
    labels: Collection[str] = (),
    roles: Mapping[str, str] | None = None,
    idempotent: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    max_result_bytes: int = DEFAULT_MAX_RESULT_BYTES,
    reread: Literal["journal", "on_apply"] = "journal",
    name: str | None = None,
) -> Callable[[Callable[..., Any]], ToolDefinition]:
    """A decorator that turns a function into a `ToolDefinition`; the arguments are its fields.

    Raises:
        ToolDefinitionError: the function cannot be a tool as it is written.
    """

    def decorate(function: Callable[..., Any]) -> ToolDefinition:
        _check_function(function)
        tool_name = name or function.__name__
        hints = _hints(function)
        context_parameter = _context_parameter(tool_name, hints)
        described = docstring.parse(function.__doc__ or "")
        arguments, parameters = _parameters(function, tool_name, hints, described)
        definition = ToolDefinition(
            name=tool_name,
            description=described.description,
            parameters=parameters,
            result=_result(tool_name, hints, described),
            effect=_effect(tool_name, effect),
            tier=tier,
            labels=frozenset(labels),
            roles=dict(roles or {}),
            idempotent=idempotent,
            timeout_s=float(timeout_s),
            max_result_bytes=max_result_bytes,
            reread=reread,
            import_path=f"{function.__module__}:{function.__name__}",
            arguments=arguments,
            context_parameter=context_parameter,
            source=_source(function),
            function=function,
        )
        check_definition(definition)
        return definition

    return decorate


def _check_function(function: Callable[..., Any]) -> None:
    if not inspect.isfunction(function):
        raise ToolDefinitionError("@tool decorates a plain function, nothing else")
    name = function.__name__
    kinds = (
        inspect.iscoroutinefunction(function),
        inspect.isgeneratorfunction(function),
        inspect.isasyncgenfunction(function),
    )
    if any(kinds):
        raise ToolDefinitionError(f"{name} must be a plain function, not async and no generator")
    if function.__qualname__ != name:
        raise ToolDefinitionError(
            f"{name} must stand at the top level of its module, so that a worker can import it"
        )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as fault:
        raise ToolDefinitionError(
            f"{function.__name__}: a type hint cannot be resolved: {fault}; "
            "import the type at run time, not under TYPE_CHECKING"
        ) from None


def _context_parameter(tool_name: str, hints: Mapping[str, Any]) -> str:
    names = [name for name, hint in hints.items() if hint is ToolContext and name != "return"]
    if len(names) > 1:
        raise ToolDefinitionError(f"{tool_name} has more than one ToolContext")
    return names[0] if names else ""


def _parameters(
    function: Callable[..., Any],
    tool_name: str,
    hints: Mapping[str, Any],
    described: docstring.Docstring,
) -> tuple[tuple[Argument, ...], dict[str, Any]]:
    """The arguments, and the JSON Schema of them all."""
    arguments: list[Argument] = []
    properties: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"{tool_name}({parameter.name})"
        _check_parameter(parameter, where, hints)
        if hints[parameter.name] is ToolContext:
            continue
        converter = schema.adapter(hints[parameter.name], where)
        part = schema.json_schema(converter, where)
        default = MISSING
        if parameter.default is not inspect.Parameter.empty:
            default = part["default"] = _default(parameter.default, part, where)
        text = described.arguments.get(parameter.name) or part.get("description", "")
        if not text:
            raise ToolDefinitionError(f"{where} is not described: add it under Args: ")
        properties[parameter.name] = {**part, "description": text}
        arguments.append(Argument(parameter.name, default, converter))
    unknown = sorted(set(described.arguments) - set(inspect.signature(function).parameters))
    if unknown:
        raise ToolDefinitionError(
            f"{tool_name}: Args: describes {unknown[0]}, which is no argument"
        )
    required = [argument.name for argument in arguments if argument.required]
    return tuple(arguments), {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _check_parameter(parameter: inspect.Parameter, where: str, hints: Mapping[str, Any]) -> None:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ToolDefinitionError(f"{where}: *args and **kwargs say nothing; name each argument")
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ToolDefinitionError(f"{where} is positional-only; agents call by name")
    if parameter.name not in hints:
        raise ToolDefinitionError(f"{where} has no type hint")


def _default(value: object, part: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - JSON
    try:
        default = schema.to_json(value)
    except schema.JSONValueError as fault:
        raise ToolDefinitionError(f"{where}: its default is no JSON value: {fault}") from None
    faults = schema.problems(schema.validator(part), default)
    if faults:
        raise ToolDefinitionError(f"{where}: its default does not fit its type: {faults[0]}")
    return default


def _result(
    tool_name: str, hints: Mapping[str, Any], described: docstring.Docstring
) -> dict[str, Any]:
    if "return" not in hints:
        raise ToolDefinitionError(
            f"{tool_name} has no return type; write -> None if it gives nothing"
        )
    where = f"{tool_name}'s result"
    result = schema.json_schema(schema.adapter(hints["return"], where), where)
    if described.returns:
        result["description"] = described.returns
    return result


def _effect(tool_name: str, effect: str) -> Effect:
    try:
        return Effect(effect)
    except ValueError:
        raise ToolDefinitionError(
            f'{tool_name}: effect must be "read" (changes nothing outside) or "write"'
        ) from None


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError, SyntaxError, TokenError):
        raise ToolDefinitionError(
            f"{function.__name__}: its source text cannot be found, so it cannot be pinned"
        ) from None


def check_definition(definition: ToolDefinition) -> None:
    """Checks what tools of every kind must be.

    Raises:
        ToolDefinitionError: says what to change.
    """
    name = definition.name
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in _TAKEN:
        raise ToolDefinitionError(
            f"{name!r} cannot name a tool: use lower case letters, digits and _, "
            f"no Python keyword, none of {', '.join(sorted(_TAKEN))}"
        )
    if not definition.description:
        raise ToolDefinitionError(f"{name} has no docstring; its first paragraph tells the agent")
    if type(definition.tier) is not int or not 0 <= definition.tier <= MAX_TIER:
        raise ToolDefinitionError(f"{name}: tier must be a whole number from 0 to {MAX_TIER}")
    _check_words(name, "label", definition.labels)
    _check_words(name, "role", definition.roles.values())
    known = {*definition.parameters["properties"], *of_schema(definition.parameters)}
    for argument in definition.roles:
        if argument not in known and not _is_inside_open(argument, definition.parameters):
            raise ToolDefinitionError(
                f"{name}: roles names {argument!r}, which is no argument and no field of one"
            )
    for role in ("amount", "amount_minor", "currency"):
        if list(definition.roles.values()).count(role) > 1:
            raise ToolDefinitionError(
                f"{name}: two arguments have the role {role!r}; totals and budgets count one"
            )
    _check_bounds(definition)


def _is_inside_open(path: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a path leads into an argument that takes any fields."""
    name, _, rest = path.partition(".")
    return bool(rest) and is_open(parameters["properties"].get(name), parameters)


def _check_words(name: str, what: str, words: Collection[object]) -> None:
    for word in words:
        if not isinstance(word, str) or not _SLUG.fullmatch(word):
            raise ToolDefinitionError(f"{name}: {what} {word!r} must be one lower case word")


def _check_bounds(definition: ToolDefinition) -> None:
    if definition.reread not in ("journal", "on_apply"):
        raise ToolDefinitionError(f'{definition.name}: reread must be "journal" or "on_apply"')
    if definition.reread == "on_apply" and definition.effect is not Effect.READ:
        raise ToolDefinitionError(f"{definition.name} is a write: it cannot be read again")
    timeout = definition.timeout_s
    if not (math.isfinite(timeout) and 0 < timeout <= MAX_TIMEOUT_S):
        raise ToolDefinitionError(
            f"{definition.name}: timeout_s must be positive, at most {MAX_TIMEOUT_S:g} seconds"
        )
    bytes_ = definition.max_result_bytes
    if type(bytes_) is not int or not 0 < bytes_ <= MAX_RESULT_BYTES:
        raise ToolDefinitionError(
            f"{definition.name}: max_result_bytes must be positive, at most {MAX_RESULT_BYTES}"
        )
