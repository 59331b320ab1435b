"""Chat Completions on the wire: requests as the SDK takes them, answers as they come.

The SDK builds its objects without validating them, so any attribute of an answer may be
missing or of another type: everything here looks before it takes, and raises nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from agents.llm.chat import (
    ChatRequest,
    FinishReason,
    Message,
    ResponseFormat,
    ToolCall,
    ToolSchema,
    Usage,
    cut_at_stop,
)
from agents.llm.endpoint import EndpointSpec

MAX_REPLY_CHARS = 1_000_000
"""An endpoint that never stops talking is cut here, as at a token limit."""
MAX_TOKENS_PER_CALL = 100_000_000
MAX_TOOL_CALLS = 128


@dataclass(slots=True)
class Answer:
    """What one attempt has collected so far."""

    text: str = ""
    calls: dict[int, ToolCall] = field(default_factory=dict)
    finish: FinishReason | None = None
    usage: Usage | None = None
    model: str = ""
    request_id: str = ""
    understood: bool = False
    """Whether anything that came was a Chat Completions answer."""


def payload(request: ChatRequest, endpoint: EndpointSpec, lacks: frozenset[str]) -> dict[str, Any]:
    """The request's body as the SDK takes it, without the parameters in `lacks`."""
    body: dict[str, Any] = {
        "model": request.model or endpoint.model,
        "messages": [_message(message) for message in request.messages],
    }
    limit = "max_completion_tokens" if "max_tokens" in lacks else "max_tokens"
    body[limit] = request.max_output_tokens
    if request.temperature is not None and "temperature" not in lacks:
        body["temperature"] = request.temperature
    if request.stop and "stop" not in lacks:
        body["stop"] = list(request.stop)
    if endpoint.streaming and "stream_options" not in lacks:
        body["stream_options"] = {"include_usage": True}
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return body


def _message(message: Message) -> dict[str, Any]:
    value: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.tool_calls:
        value["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        value["tool_call_id"] = message.tool_call_id
    return value


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    schema = {"name": wanted.name, "schema": dict(wanted.schema), "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: ToolSchema) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def take_chunk(answer: Answer, chunk: object) -> None:
    choices = getattr(chunk, "choices", None)
    usage = _usage(getattr(chunk, "usage", None))
    if usage is not None:
        # Some servers repeat the running total in each chunk: the last one counts.
        answer.usage = usage
        answer.understood = True
    answer.model = answer.model or _text(getattr(chunk, "model", None))
    if not isinstance(choices, list) or not choices:
        return
    answer.understood = True
    delta = getattr(choices[0], "delta", None)
    answer.text += _text(getattr(delta, "content", None))
    calls = getattr(delta, "tool_calls", None)
    for call in calls if isinstance(calls, list) else ():
        _take_call_piece(answer, call)
    answer.finish = _finish(getattr(choices[0], "finish_reason", None)) or answer.finish


def _take_call_piece(answer: Answer, piece: object) -> None:
    index = getattr(piece, "index", None)
    place = index if isinstance(index, int) and 0 <= index < MAX_TOOL_CALLS else 0
    known = answer.calls.get(place, ToolCall("", "", ""))
    function = getattr(piece, "function", None)
    answer.calls[place] = replace(
        known,
        id=known.id or _text(getattr(piece, "id", None)),
        name=known.name + _text(getattr(function, "name", None)),
        arguments=known.arguments + _text(getattr(function, "arguments", None)),
    )


def take_completion(answer: Answer, completion: object) -> None:
    choices = getattr(completion, "choices", None)
    answer.request_id = _text(getattr(completion, "_request_id", None))
    answer.model = _text(getattr(completion, "model", None))
    answer.usage = _usage(getattr(completion, "usage", None))
    if not isinstance(choices, list) or not choices:
        return
    answer.understood = True
    message = getattr(choices[0], "message", None)
    answer.text = _text(getattr(message, "content", None))
    calls = getattr(message, "tool_calls", None)
    for place, call in enumerate(calls[:MAX_TOOL_CALLS] if isinstance(calls, list) else ()):
        function = getattr(call, "function", None)
        answer.calls[place] = ToolCall(
            _text(getattr(call, "id", None)),
            _text(getattr(function, "name", None)),
            _text(getattr(function, "arguments", None)),
        )
    answer.finish = _finish(getattr(choices[0], "finish_reason", None))


def cut(answer: Answer, request: ChatRequest) -> bool:
    """Ends the answer at a stop sequence or an absurd length; True if it ended so."""
    answer.text, stopped = cut_at_stop(answer.text, request.stop)
    if stopped:
        answer.finish = FinishReason.STOP
        return True
    said = len(answer.text) + sum(len(call.arguments) for call in answer.calls.values())
    if said > MAX_REPLY_CHARS:
        answer.text = answer.text[:MAX_REPLY_CHARS]
        answer.finish = FinishReason.LENGTH
        return True
    return False


def _finish(value: object) -> FinishReason | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return FinishReason(value)
    except ValueError:
        return FinishReason.OTHER


def _usage(value: object) -> Usage | None:
    tokens = (getattr(value, "prompt_tokens", None), getattr(value, "completion_tokens", None))
    counts = [n for n in tokens if type(n) is int and 0 <= n <= MAX_TOKENS_PER_CALL]
    if len(counts) != 2 or counts[0] == 0:
        return None
    return Usage(counts[0], counts[1], estimated=False)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
