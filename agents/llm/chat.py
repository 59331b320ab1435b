"""What is said to a model and what comes back, as plain values.

This module is pure. Texts of a model are untrusted: nothing here interprets them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

BYTES_PER_TOKEN = 3
"""Estimates err upwards on purpose (English prose has about 4): a budget then stops early."""

MESSAGE_OVERHEAD_TOKENS = 4
"""What chat templates add around each message."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    """Cut at the token limit: the text is not all the model meant to say."""
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call the model asks for.

    Attributes:
        arguments: JSON text exactly as the model wrote it; may be anything.
    """

    id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any] | None:
        """The arguments as an object, or None where the model wrote something else."""
        try:
            value = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as shown to a model in tool-calling mode.

    Attributes:
        parameters: JSON Schema of one object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """Structured output: the reply must be JSON that fits the schema."""

    name: str
    schema: Mapping[str, Any]
    strict: bool = True


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model.

    Attributes:
        stop: the reply ends before the first of these; enforced on our side as well, so a
            model without the parameter behaves the same.
        temperature: None leaves it to the endpoint.
        cancelled: asked between chunks and while waiting; True ends the call with
            `ModelCancelled`.
    """

    messages: Sequence[Message]
    model: str
    max_output_tokens: int
    temperature: float | None = None
    stop: Sequence[str] = ()
    response_format: ResponseFormat | None = None
    tools: Sequence[ToolSchema] = ()
    cancelled: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens to pay for.

    Attributes:
        estimated: True where the endpoint did not say, or said nonsense.
    """

    input_tokens: int
    output_tokens: int
    estimated: bool

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What the model said, however useless: an empty or cut answer is a value, not an error.

    Attributes:
        usage: all attempts together, so what broke off half-way is counted too.
        model: the name the endpoint answered with, else the one asked for.
        request_id: the endpoint's own id, or "".
        attempts: requests sent, at least 1.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    finish_reason: FinishReason
    model: str
    request_id: str
    attempts: int
    duration_ms: int

    @property
    def truncated(self) -> bool:
        return self.finish_reason is FinishReason.LENGTH


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of text while it is being written.

    Attributes:
        attempt: counts from 1; a higher one means that all pieces before it are void.
    """

    attempt: int
    text: str


class ChatModel(Protocol):
    """Anything that answers a conversation."""

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        """Answers the request.

        Raises:
            ModelUnavailable: for now; wait `retry_after_s` and ask again.
            ModelRefused: until the operator changes something.
            ModelCancelled: the request's `cancelled` said so.
        """
        ...


def estimate_tokens(text: str) -> int:
    """Tokens a text will cost at most, roughly; 0 for none."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def estimate_messages(messages: Sequence[Message]) -> int:
    """Tokens a conversation will cost at most, roughly."""
    return sum(
        MESSAGE_OVERHEAD_TOKENS
        + estimate_tokens(message.content)
        + sum(estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
        for message in messages
    )


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text up to the first stop sequence, and whether there was one."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
