"""The client against a real HTTP server that plays scripts with faults."""

import contextlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from agents.llm.chat import (
    ChatRequest,
    Delta,
    FinishReason,
    Message,
    ResponseFormat,
    Role,
    ToolSchema,
)
from agents.llm.client import OpenAIChatModel
from agents.llm.endpoint import EndpointKind, EndpointSpec
from agents.llm.errors import ModelCancelled, ModelRefused, ModelUnavailable
from agents.llm.script import parse_script
from agents.llm.scripted import ScriptedChatModel, ScriptedServer

REPLY = "I look.\n<code>\nprint(1)\n</code>"
KEY = "sk-test-very-secret"


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Bench:
    model: OpenAIChatModel
    server: ScriptedServer
    clock: Clock


@contextmanager
def playing(
    turn: dict[str, Any], *, script: dict[str, Any] | None = None, **changes: object
) -> Iterator[Bench]:
    text = yaml.safe_dump(
        {"model": "scripted-test", "turns": [{"reply": REPLY, **turn}], **(script or {})}
    )
    with ScriptedServer(parse_script(text)) as server:
        values: dict[str, Any] = {
            "base_url": server.base_url,
            "model": "scripted-test",
            "api_key_ref": "env:KEY",
            "timeout_s": 5.0,
        }
        clock = Clock()
        model = OpenAIChatModel(
            EndpointSpec(**{**values, **changes}),
            resolve_secret=lambda _: KEY,
            clock=clock.time,
            sleep=clock.sleep,
            jitter=lambda: 0.0,
        )
        try:
            yield Bench(model, server, clock)
        finally:
            model.close()


def request(**changes: object) -> ChatRequest:
    values: dict[str, Any] = {
        "messages": [Message(Role.SYSTEM, "You act."), Message(Role.USER, "Count.")],
        "model": "scripted-test",
        "max_output_tokens": 500,
    }
    return ChatRequest(**{**values, **changes})


@pytest.mark.parametrize("streaming", [True, False])
def test_a_reply_comes_with_its_usage(streaming: bool) -> None:
    with playing({"usage": {"input_tokens": 120, "output_tokens": 7}}, streaming=streaming) as on:
        pieces: list[Delta] = []
        reply = on.model.complete(request(), pieces.append)
    assert reply.text == REPLY == "".join(piece.text for piece in pieces)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (120, 7)
    assert not reply.usage.estimated
    assert reply.finish_reason is FinishReason.STOP
    assert (reply.model, reply.attempts) == ("scripted-test", 1)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("usage", ["missing", "malformed"])
def test_usage_that_is_absent_or_nonsense_is_estimated(streaming: bool, usage: str) -> None:
    with playing({"usage": usage}, streaming=streaming) as on:
        reply = on.model.complete(request())
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 5
    assert reply.usage.output_tokens >= len(REPLY) // 4


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503, "retry_after": 1},
        {"kind": "status", "status": 408},
        {"kind": "disconnect", "after": 5},
        {"kind": "nonsense", "body": "html"},
        {"kind": "nonsense", "body": "json"},
        {"kind": "nonsense", "body": "empty"},
        {"kind": "nonsense", "body": "text"},
        {"kind": "nonsense", "body": "chunks"},
    ],
)
def test_passing_faults_are_asked_again(streaming: bool, fault: dict[str, Any]) -> None:
    with playing({"fault": {**fault, "attempts": 2}}, streaming=streaming) as on:
        reply = on.model.complete(request())
        assert on.server.requests == 3
    assert reply.text == REPLY
    assert reply.attempts == 3
    assert sum(on.clock.slept) > 0


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 500}, {"kind": "nonsense"}, {"kind": "disconnect"}]
)
def test_lasting_faults_leave_the_run_to_come_back(fault: dict[str, Any]) -> None:
    with playing({"fault": fault}, max_attempts=3) as on:
        with pytest.raises(ModelUnavailable) as raised:
            on.model.complete(request())
        assert on.server.requests == 3
    assert raised.value.attempts == 3
    assert raised.value.retry_after_s > 0


def test_a_long_wish_of_the_endpoint_is_passed_on_at_once() -> None:
    fault = {"kind": "status", "status": 429, "retry_after": 90}
    with playing({"fault": fault}) as on:
        with pytest.raises(ModelUnavailable) as raised:
            on.model.complete(request())
        assert on.server.requests == 1
    assert raised.value.retry_after_s == 90
    assert on.clock.slept == []


def test_an_empty_account_is_not_hammered_and_loses_no_run() -> None:
    fault = {"kind": "status", "status": 429, "code": "insufficient_quota"}
    with playing({"fault": fault}) as on:
        with pytest.raises(ModelUnavailable, match="top it up"):
            on.model.complete(request())
        assert on.server.requests == 1


def test_what_broke_off_is_paid_for_and_said_to_be_void() -> None:
    with playing(
        {"fault": {"kind": "disconnect", "after": 20, "attempts": 1}},
        script={"pace": {"chunk_chars": 5}},
    ) as on:
        pieces: list[Delta] = []
        reply = on.model.complete(request(), pieces.append)
    assert {piece.attempt for piece in pieces} == {1, 2}
    assert "".join(piece.text for piece in pieces if piece.attempt == 2) == REPLY
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 2 * 5


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ({"status": 401}, "does not accept the key env:KEY"),
        ({"status": 403}, "may not use model"),
        ({"status": 404}, "knows no model"),
        ({"status": 400, "code": "context_length_exceeded"}, "context_tokens"),
        ({"status": 422}, "correct the model's registration"),
        ({"status": 302}, "redirect"),
    ],
)
def test_refusals_tell_the_operator_what_to_do(fault: dict[str, Any], advice: str) -> None:
    with playing({"fault": {"kind": "status", **fault}}) as on:
        with pytest.raises(ModelRefused, match=advice) as raised:
            on.model.complete(request())
        assert on.server.requests == 1
    assert KEY not in str(raised.value) + raised.value.detail


def test_a_rejected_parameter_is_left_out_from_then_on() -> None:
    fault = {"kind": "status", "status": 400, "param": "stop", "attempts": 1}
    with playing({"fault": fault}) as on:
        reply = on.model.complete(request(stop=["</code>"]))
        assert on.server.requests == 2
    assert reply.text == REPLY.removesuffix("</code>")


def test_a_parameter_that_is_rejected_for_ever_ends_the_call() -> None:
    with playing({"fault": {"kind": "status", "status": 400, "param": "stop"}}) as on:
        with pytest.raises(ModelRefused, match="stop"):
            on.model.complete(request(stop=["</code>"]))
        assert on.server.requests == 2


@pytest.mark.parametrize("model", ["scripted-test", "scripted-o3"])
def test_stop_sequences_hold_with_and_without_the_parameter(model: str) -> None:
    with playing({}, unsupported=frozenset({"stop"})) as on:
        reply = on.model.complete(request(stop=["</code>", "<observation"]))
    assert reply.text == "I look.\n<code>\nprint(1)\n"
    assert reply.finish_reason is FinishReason.STOP


def test_an_empty_reply_is_a_value() -> None:
    with playing({"reply": ""}) as on:
        assert on.model.complete(request()).text == ""


def test_a_reply_cut_by_length_is_a_value_that_says_so() -> None:
    with playing({"finish": "length"}) as on:
        assert on.model.complete(request()).truncated


@pytest.mark.parametrize("streaming", [True, False])
def test_tool_calls_and_structured_output(streaming: bool) -> None:
    calls = [{"name": "pay", "arguments": {"to": "a"}}, {"name": "pay", "arguments": "{broken"}]
    with playing({"reply": "", "tool_calls": calls}, streaming=streaming) as on:
        reply = on.model.complete(
            request(
                tools=[ToolSchema("pay", "Pays.", {"type": "object", "properties": {}})],
                response_format=ResponseFormat("step", {"type": "object"}),
            )
        )
    assert [call.name for call in reply.tool_calls] == ["pay", "pay"]
    assert reply.tool_calls[0].parsed() == {"to": "a"}
    assert reply.tool_calls[1].parsed() is None
    assert reply.finish_reason is FinishReason.TOOL_CALLS


def test_cancelling_stops_between_chunks() -> None:
    seen: list[str] = []
    with (
        playing({}, script={"pace": {"chunk_chars": 4}}) as on,
        pytest.raises(ModelCancelled) as raised,
    ):
        on.model.complete(
            request(cancelled=lambda: len(seen) >= 2), lambda piece: seen.append(piece.text)
        )
    assert len(seen) == 2
    assert raised.value.usage.output_tokens > 0


def test_cancelling_stops_a_wait() -> None:
    with playing({"fault": {"kind": "status", "status": 503, "retry_after": 10}}) as on:
        with pytest.raises(ModelCancelled):
            on.model.complete(request(cancelled=lambda: on.clock.now > 1))
        assert on.server.requests == 1


def test_silence_ends_in_time() -> None:
    with playing({"fault": {"kind": "slow", "seconds": 0.6}}, timeout_s=0.1, max_attempts=2) as on:
        with pytest.raises(ModelUnavailable, match="silent"):
            on.model.complete(request())
        assert on.server.requests == 2


def test_an_endpoint_that_only_keeps_the_line_open_ends_in_time() -> None:
    fault = {"kind": "pings", "seconds": 5}
    with playing({"fault": fault}, deadline_s=0.3) as on:
        model = OpenAIChatModel(on.model.endpoint, resolve_secret=lambda _: KEY)
        with contextlib.closing(model), pytest.raises(ModelUnavailable, match="deadline"):
            model.complete(request())


def test_cancelling_stops_an_endpoint_that_only_keeps_the_line_open() -> None:
    looks = itertools.count()
    with playing({"fault": {"kind": "pings", "seconds": 5}}) as on, pytest.raises(ModelCancelled):
        on.model.complete(request(cancelled=lambda: next(looks) > 4))


def test_nobody_listening_is_unavailable() -> None:
    with playing({}) as on:
        address = on.server.base_url
    model = OpenAIChatModel(
        EndpointSpec(base_url=address, model="scripted-test", max_attempts=2),
        resolve_secret=lambda _: KEY,
        sleep=lambda _: None,
    )
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        model.complete(request())


def test_a_key_that_cannot_be_read_is_refused_by_its_reference() -> None:
    def fail(reference: str) -> str:
        raise KeyError(reference)

    endpoint = EndpointSpec(base_url="http://localhost:1/v1", model="m", api_key_ref="env:GONE")
    with pytest.raises(ModelRefused, match="env:GONE"):
        OpenAIChatModel(endpoint, resolve_secret=fail).complete(request())


def test_azure_asks_its_deployment_with_its_own_header() -> None:
    with playing({}, script={"key": KEY}) as on:
        endpoint = EndpointSpec(
            base_url=on.server.base_url.removesuffix("/v1"),
            model="scripted-test",
            kind=EndpointKind.AZURE,
            api_key_ref="env:KEY",
            api_version="2025-04-01-preview",
        )
        model = OpenAIChatModel(endpoint, resolve_secret=lambda _: KEY)
        assert model.complete(request(model="scripted-test")).text == REPLY
        model.close()


def test_errors_of_the_listener_are_the_callers() -> None:
    def fail(_: Delta) -> None:
        raise ValueError("screen is gone")

    with playing({}) as on, pytest.raises(ValueError, match="screen is gone"):
        on.model.complete(request(), fail)


def test_the_script_in_process_gives_the_same_reply() -> None:
    with playing({}) as on:
        there = on.model.complete(request())
    here = ScriptedChatModel(
        parse_script(yaml.safe_dump({"model": "scripted-test", "turns": [{"reply": REPLY}]}))
    ).complete(request())
    assert (here.text, here.usage, here.request_id) == (there.text, there.usage, there.request_id)
