"""Runs one tool call: checked arguments in, checked JSON out, bounded in time and size.

Guarantees: a tool never sees arguments its schema forbids, and an agent never sees a result the
tool's schema forbids; a call ends within its time-out for the caller; every way a call can end is
one of the errors of `agents.tools.errors`, which say whether the tool may have acted; secrets the
tool resolved are masked in results and messages. Does not guarantee that a timed-out function
stops: a thread cannot be killed, so it keeps its place until it returns, and when no place is left
calls are refused before they begin.

Order: (1) check the arguments and the breaker, (2) take a place, (3) run in a thread of its own,
with the caller's context variables, (4) wait, (5) turn the end into a result or an error, (6) check
the result.
"""

import contextvars
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.tools import schema
from agents.tools.breaker import Breakers
from agents.tools.context import ToolContext
from agents.tools.definition import Effect, ToolDefinition
from agents.tools.errors import (
    ToolArgumentError,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolResultError,
    ToolTimeout,
    ToolUnreachable,
)
from agents.tools.secrets import SecretError

__all__ = ["ToolContext", "ToolPool", "invoke", "validate_arguments"]

MAX_ARGUMENT_BYTES = 1_000_000
MAX_MESSAGE_CHARS = 2_000
DEFAULT_PLACES = 32
WAIT_FOR_PLACE_S = 2.0


def validate_arguments(definition: ToolDefinition, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the tool will get them: checked, with defaults filled in.

    Whole numbers given for a `Decimal` become text. The result is plain JSON; validating it
    again gives the same.

    Raises:
        ToolArgumentError: they do not fit; written for the agent.
    """
    name = definition.name
    try:
        schema.require_json(dict(arguments), name)
    except schema.JSONValueError as fault:
        raise ToolArgumentError(str(fault)) from None
    filled = {
        argument.name: _given(definition, argument.name, arguments, argument.default)
        for argument in definition.arguments
        if argument.name in arguments or not argument.required
    }
    filled |= {key: value for key, value in arguments.items() if key not in filled}
    faults = schema.problems(definition.argument_validator, filled)
    if faults:
        raise ToolArgumentError(f"{name}: {'; '.join(faults)}{_expected(definition)}")
    if len(json.dumps(filled)) > MAX_ARGUMENT_BYTES:
        raise ToolArgumentError(f"{name}: the arguments have more than {MAX_ARGUMENT_BYTES} bytes")
    return filled


def invoke(
    definition: ToolDefinition,
    arguments: Mapping[str, Any],
    context: ToolContext,
    *,
    pool: "ToolPool | None" = None,
    breakers: Breakers | None = None,
) -> Any:  # noqa: ANN401 - any JSON value
    """Calls the tool and gives its result as JSON.

    Raises:
        ToolArgumentError: the arguments do not fit; the tool did not begin.
        ToolUnavailable: it broke several times in a row just now; it did not begin.
        ToolBusy: no place was free; the tool did not begin.
        ToolFailed: the tool raised.
        ToolUnreachable: its service could not be reached; nothing was done.
        ToolTimeout: no answer in time, or a write lost its connection; it may have acted.
        ToolResultError: the tool finished, but its result is not what its schema says.
    """
    checked = validate_arguments(definition, arguments)
    values = _python_values(definition, checked)
    if definition.context_parameter:
        values[definition.context_parameter] = context
    with (breakers or _BREAKERS).guarding((context.workspace, definition.digest), definition.name):
        outcome = (pool or _POOL).run(
            lambda: definition.function(**values), definition.timeout_s, definition.name
        )
        if outcome.fault is not None and not isinstance(outcome.fault, ToolFailed):
            raise _mapped(definition, outcome.fault, context) from outcome.fault
    if outcome.fault is not None:
        raise _mapped(definition, outcome.fault, context) from outcome.fault
    return _checked_result(definition, outcome.value, context)


@dataclass(slots=True)
class _Outcome:
    value: Any = None
    fault: BaseException | None = None


class ToolPool:
    """A bounded number of places in which tools run, each call in a thread of its own.

    The threads are daemons: a tool that hangs does not keep a worker from stopping.
    """

    def __init__(self, places: int = DEFAULT_PLACES, wait_s: float = WAIT_FOR_PLACE_S) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._wait_s = wait_s

    def run(self, act: Callable[[], Any], timeout_s: float, name: str) -> _Outcome:
        """What became of `act`, waiting at most `timeout_s`.

        Raises:
            ToolBusy: no place was free; `act` did not begin.
            ToolTimeout: it did not end in time; it keeps its place until it does.
        """
        if not self._places.acquire(timeout=self._wait_s):
            raise ToolBusy(f"{name} did not begin: too many tools are running. Try again later.")
        outcome, done = _Outcome(), threading.Event()
        surrounding = contextvars.copy_context()

        def work() -> None:
            try:
                outcome.value = surrounding.run(act)
            except BaseException as fault:  # noqa: BLE001 - SystemExit too must not end a worker
                outcome.fault = fault
            finally:
                done.set()
                self._places.release()

        try:
            threading.Thread(target=work, name=f"tool-{name}", daemon=True).start()
        except RuntimeError:
            self._places.release()
            raise ToolBusy(f"{name} did not begin: no thread could be started.") from None
        if not done.wait(timeout_s):
            raise ToolTimeout(f"{name} did not answer within {timeout_s:g} seconds.")
        return outcome


_POOL = ToolPool()
_BREAKERS = Breakers()


def _given(
    definition: ToolDefinition,
    name: str,
    arguments: Mapping[str, Any],
    default: Any,  # noqa: ANN401 - JSON
) -> Any:  # noqa: ANN401 - JSON
    value = arguments.get(name, default)
    part = definition.parameters["properties"][name]
    decimal = part.get("format") == "decimal"
    return str(value) if decimal and type(value) is int else value


def _expected(definition: ToolDefinition) -> str:
    names = ", ".join(
        argument.name if argument.required else f"{argument.name} (optional)"
        for argument in definition.arguments
    )
    return f". {definition.name} takes: {names or 'no arguments'}"


def _python_values(definition: ToolDefinition, checked: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in definition.arguments:
        if argument.name not in checked:
            continue
        try:
            values[argument.name] = argument.converter.validate_python(checked[argument.name])
        except ValueError as fault:
            # The type says more than its schema can: a validator of a pydantic model.
            text = str(fault)[:MAX_MESSAGE_CHARS]
            raise ToolArgumentError(f"{definition.name}: {argument.name}: {text}") from None
    return values


def _mapped(definition: ToolDefinition, fault: BaseException, context: ToolContext) -> ToolError:
    """The error the caller sees for what the tool raised."""
    message = context.masked(str(fault))[:MAX_MESSAGE_CHARS]
    if isinstance(fault, ToolTimeout):
        return ToolTimeout(message)
    if isinstance(fault, ToolUnreachable):
        return ToolUnreachable(message)
    if isinstance(fault, ToolFailed):
        return ToolFailed(fault.kind, message)
    if isinstance(fault, SecretError):
        return ToolFailed("SecretError", message)
    lost = isinstance(fault, TimeoutError | ConnectionError)
    if lost and definition.effect is Effect.WRITE:
        # The request may have left before the connection went.
        kind = type(fault).__name__
        return ToolTimeout(f"{definition.name} lost its connection ({kind}: {message})")
    return ToolFailed(type(fault).__name__, message)


def _checked_result(
    definition: ToolDefinition,
    value: Any,  # noqa: ANN401 - whatever the tool gave
    context: ToolContext,
) -> Any:  # noqa: ANN401 - JSON
    name = definition.name
    try:
        result = schema.to_json(value)
    except schema.JSONValueError as fault:
        raise ToolResultError(context.masked(f"{name}: {fault}")) from None
    text = json.dumps(result, ensure_ascii=False)
    size = len(text.encode())
    if size > definition.max_result_bytes:
        raise ToolResultError(
            f"{name} gave {size} bytes; at most {definition.max_result_bytes} are passed on. "
            "Ask for less at a time."
        )
    faults = schema.problems(definition.result_validator, result)
    if faults:
        raise ToolResultError(
            context.masked(f"{name} gave a result its schema forbids: {faults[0]}")
        )
    return _masked(result, context) if context.has_secrets else result


def _masked(value: Any, context: ToolContext) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return context.masked(value)
    if isinstance(value, list):
        return [_masked(item, context) for item in value]
    if isinstance(value, dict):
        return {context.masked(key): _masked(item, context) for key, item in value.items()}
    return value
