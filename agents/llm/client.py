"""Asks a model at an OpenAI-compatible endpoint, and never loses a run over it.

Guarantees: every call ends, within `deadline_s` plus one `timeout_s`, in a `ChatReply` or a
`ModelError`; the key appears in no error, log or value; usage is always there, marked
`estimated` where the endpoint did not say; an answer that broke off is asked for again and
never passed on as if it were whole; redirects are not followed, so a conversation goes to
the registered host only. Does not guarantee that the endpoint is honest about its usage.

Order of one call: (1) read the key, (2) send without the parameters the endpoint lacks,
(3) collect the answer, checking cancellation and deadline at each piece of it, (4) on a temporary
failure wait or give up (`agents.llm.patience`), (5) on a parameter the endpoint rejects,
leave it out from then on and ask again.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2
import openai

from agents.llm.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Delta,
    FinishReason,
    Message,
    ResponseFormat,
    Role,
    ToolCall,
    ToolSchema,
    Usage,
    estimate_messages,
    estimate_tokens,
)
from agents.llm.endpoint import EndpointKind, EndpointSpec
from agents.llm.errors import (
    NOTHING_SPENT,
    ModelCancelled,
    ModelError,
    ModelRefused,
    ModelUnavailable,
)
from agents.llm.faults import Permanent, Temporary, Unsupported, classify
from agents.llm.patience import GiveUp, after_failure
from agents.llm.watch import check as watch
from agents.llm.watch import watch_response
from agents.llm.wire import Answer, cut, payload, take_chunk, take_completion

__all__ = [
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "Delta",
    "EndpointKind",
    "EndpointSpec",
    "FinishReason",
    "Message",
    "ModelCancelled",
    "ModelError",
    "ModelRefused",
    "ModelUnavailable",
    "OpenAIChatModel",
    "ResponseFormat",
    "Role",
    "ToolCall",
    "ToolSchema",
    "Usage",
]

ATTEMPT_HEADER = "X-Countersign-Attempt"
_CONNECT_TIMEOUT_S = 10.0
_SLEEP_SLICE_S = 0.25

_WIRE_FAULTS = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError)
# A chunk of the wrong shape surfaces in the SDK as whatever it happened to touch first.
_CHUNK_FAULTS = (*_WIRE_FAULTS, TypeError, AttributeError, KeyError, RecursionError)

OnDelta = Callable[[Delta], None]
T = TypeVar("T")


class OpenAIChatModel:
    """A `ChatModel` behind an `EndpointSpec`. Safe to share between threads.

    Args:
        endpoint: where and how.
        resolve_secret: turns `api_key_ref` into the key at each call, so a renewed key is
            picked up; may raise any exception, which becomes `ModelRefused`.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        jitter: gives a number in [0, 1).
    """

    def __init__(
        self,
        endpoint: EndpointSpec,
        *,
        resolve_secret: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self._resolve_secret = resolve_secret
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None
        self._client_key = ""
        self._learned: frozenset[str] = frozenset()

    def complete(self, request: ChatRequest, on_delta: OnDelta | None = None) -> ChatReply:
        """Answers the request; see `ChatModel.complete`."""
        started = self._clock()
        deadline = started + self.endpoint.deadline_s
        client, key = self._connect()
        spent, sent, failures = NOTHING_SPENT, 0, 0
        while True:
            sent += 1
            answer = Answer()
            try:
                self._attempt(client, request, answer, sent, deadline, on_delta)
            except Unsupported as fault:
                self._learn(fault, sent, spent)
            except Permanent as fault:
                raise ModelRefused(
                    fault.sentence, detail=_mask(fault.detail, key), attempts=sent, usage=spent
                ) from None
            except ModelCancelled:
                spent += _broken_off(request, answer)
                raise ModelCancelled(
                    "The call was cancelled.", attempts=sent, usage=spent
                ) from None
            except Temporary as fault:
                failures += 1
                spent += _broken_off(request, answer)
                self._wait(request, _masked(fault, key), sent, failures, spent, deadline)
            else:
                return self._reply(request, answer, spent, sent, started)

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _learn(self, fault: Unsupported, sent: int, spent: Usage) -> None:
        if fault.parameter in self._learned:
            raise ModelRefused(
                f"The endpoint rejects {fault.parameter} although it is no longer sent.",
                attempts=sent,
                usage=spent,
            )
        self._learned |= {fault.parameter}

    def _connect(self) -> tuple[openai.OpenAI, str]:
        reference = self.endpoint.api_key_ref
        try:
            key = self._resolve_secret(reference) if reference else "none"
        except Exception as fault:  # noqa: BLE001 - any provider, any exception, one meaning
            raise ModelRefused(
                f"The key of model {self.endpoint.model} cannot be read from {reference}: {fault}"
            ) from None
        with self._lock:
            if self._client is None or self._client_key != key:
                self._client = _new_client(self.endpoint, key)
                self._client_key = key
            return self._client, key

    def _attempt(
        self,
        client: openai.OpenAI,
        request: ChatRequest,
        answer: Answer,
        attempt: int,
        deadline: float,
        on_delta: OnDelta | None,
    ) -> None:
        """Sends once and fills `answer`.

        Raises:
            Temporary, Permanent, Unsupported: as `classify` says.
            ModelCancelled: by the request's hook.
        """
        self._check_cancelled(request)
        remaining = deadline - self._clock()
        timeout = max(0.05, min(self.endpoint.timeout_s, remaining))
        lacks = self.endpoint.lacks() | self._learned
        options: dict[str, Any] = {
            **payload(request, self.endpoint, lacks),
            "timeout": openai.Timeout(timeout, connect=min(timeout, _CONNECT_TIMEOUT_S)),
            "extra_headers": {ATTEMPT_HEADER: str(attempt)},
        }
        watching = watch.set(lambda: self._look(request, deadline))
        try:
            if self.endpoint.streaming:
                self._stream(client, request, answer, options, attempt, on_delta)
            else:
                self._whole(client, request, answer, options, attempt, on_delta)
        finally:
            watch.reset(watching)
        if not answer.understood:
            raise Temporary("The endpoint's answer is not Chat Completions.")
        if answer.finish is None:
            raise Temporary("The endpoint broke off before the answer was complete.")

    def _stream(
        self,
        client: openai.OpenAI,
        request: ChatRequest,
        answer: Answer,
        options: dict[str, Any],
        attempt: int,
        on_delta: OnDelta | None,
    ) -> None:
        create = client.chat.completions.create
        with self._guarded(lambda: create(stream=True, **options), _WIRE_FAULTS) as stream:
            answer.request_id = _header(stream.response, "x-request-id")
            chunks = iter(stream)
            while (chunk := self._guarded(lambda: next(chunks, None), _CHUNK_FAULTS)) is not None:
                self._check_cancelled(request)
                before = len(answer.text)
                take_chunk(answer, chunk)
                ended = cut(answer, request)
                if on_delta is not None and len(answer.text) > before:
                    on_delta(Delta(attempt, answer.text[before:]))
                if ended:
                    return

    def _whole(
        self,
        client: openai.OpenAI,
        request: ChatRequest,
        answer: Answer,
        options: dict[str, Any],
        attempt: int,
        on_delta: OnDelta | None,
    ) -> None:
        create = client.chat.completions.create
        completion = self._guarded(lambda: create(stream=False, **options), _WIRE_FAULTS)
        take_completion(answer, completion)
        cut(answer, request)
        if on_delta is not None and answer.text:
            on_delta(Delta(attempt, answer.text))

    def _guarded(self, act: Callable[[], T], faults: tuple[type[Exception], ...]) -> T:
        """What `act` gives; its faults become `Temporary`, `Permanent` or `Unsupported`."""
        try:
            return act()
        except faults as fault:
            raise classify(fault, self.endpoint, datetime.now(UTC)) from None

    def _wait(
        self,
        request: ChatRequest,
        fault: Temporary,
        sent: int,
        failures: int,
        spent: Usage,
        deadline: float,
    ) -> None:
        """Waits for the next attempt.

        Raises:
            ModelUnavailable: there is no next attempt in this call.
            ModelCancelled: by the request's hook, while waiting.
        """
        step = after_failure(
            attempt=failures if fault.worth_retrying else self.endpoint.max_attempts,
            max_attempts=self.endpoint.max_attempts,
            wish_s=fault.wish_s,
            max_wait_s=self.endpoint.max_wait_s,
            remaining_s=deadline - self._clock(),
            jitter=self._jitter,
        )
        if isinstance(step, GiveUp):
            raise ModelUnavailable(
                fault.sentence,
                retry_after_s=step.retry_after_s,
                detail=fault.detail,
                attempts=sent,
                usage=spent,
            )
        end = self._clock() + step.seconds
        while (left := end - self._clock()) > 0:
            if request.cancelled is not None and request.cancelled():
                raise ModelCancelled("The call was cancelled.", attempts=sent, usage=spent)
            self._sleep(min(left, _SLEEP_SLICE_S))

    def _look(self, request: ChatRequest, deadline: float) -> None:
        self._check_cancelled(request)
        if self._clock() >= deadline:
            raise Temporary("The endpoint took longer than the call's deadline.")

    @staticmethod
    def _check_cancelled(request: ChatRequest) -> None:
        if request.cancelled is not None and request.cancelled():
            raise ModelCancelled("The call was cancelled.")

    def _reply(
        self, request: ChatRequest, answer: Answer, spent: Usage, sent: int, started: float
    ) -> ChatReply:
        usage = answer.usage or _estimate(request, answer)
        return ChatReply(
            text=answer.text,
            tool_calls=tuple(answer.calls[index] for index in sorted(answer.calls)),
            usage=spent + usage,
            finish_reason=answer.finish or FinishReason.OTHER,
            model=answer.model or self.endpoint.model,
            request_id=answer.request_id,
            attempts=sent,
            duration_ms=int((self._clock() - started) * 1000),
        )


def _new_client(endpoint: EndpointSpec, key: str) -> openai.OpenAI:
    http_client = openai.DefaultHttpxClient(
        follow_redirects=False, event_hooks={"response": [watch_response]}
    )
    client: openai.OpenAI
    if endpoint.kind is EndpointKind.AZURE:
        client = openai.AzureOpenAI(
            azure_endpoint=endpoint.base_url,
            azure_deployment=endpoint.model,
            api_version=endpoint.api_version,
            api_key=key,
            max_retries=0,
            http_client=http_client,
        )
    else:
        client = openai.OpenAI(
            base_url=endpoint.base_url, api_key=key, max_retries=0, http_client=http_client
        )
    # The SDK fills these from the environment; what is not registered is not sent.
    client.organization = None
    client.project = None
    return client


def _masked(fault: Temporary, key: str) -> Temporary:
    """The same fault with the key masked out of what the endpoint said."""
    fault.detail = _mask(fault.detail, key)
    return fault


def _estimate(request: ChatRequest, answer: Answer) -> Usage:
    said = answer.text + "".join(call.name + call.arguments for call in answer.calls.values())
    return Usage(estimate_messages(request.messages), estimate_tokens(said), estimated=True)


def _broken_off(request: ChatRequest, answer: Answer) -> Usage:
    """What an attempt cost that never became an answer: nothing if it had not begun."""
    if answer.usage is not None:
        return answer.usage
    return _estimate(request, answer) if answer.text or answer.calls else NOTHING_SPENT


def _header(response: Any, name: str) -> str:  # noqa: ANN401 - the SDK's response
    headers: Mapping[str, str] = response.headers
    return headers.get(name, "")[:200]


def _mask(text: str, key: str) -> str:
    return text.replace(key, "•••") if len(key) >= 6 else text
