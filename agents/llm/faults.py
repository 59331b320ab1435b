"""What a failed request means: ask again, leave a parameter out, or call a person.

The endpoint's own words are kept as `detail` and never interpreted beyond its error code.
"""

from datetime import datetime

import openai

from agents.llm.endpoint import EndpointSpec
from agents.llm.patience import parse_retry_after

MAX_DETAIL_CHARS = 500
_RETRIED = frozenset({408, 409, 425, 429})
_OPTIONAL = ("stop", "temperature", "max_tokens", "stream_options")
_UNSUPPORTED_CODES = frozenset({"unsupported_parameter", "unsupported_value"})


class Temporary(Exception):
    """Ask again.

    Attributes:
        wish_s: seconds the endpoint asked to wait, or None.
        worth_retrying: False where minutes will not help, only the run's patience.
    """

    def __init__(
        self,
        sentence: str,
        *,
        detail: str = "",
        wish_s: float | None = None,
        worth_retrying: bool = True,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail
        self.wish_s = wish_s
        self.worth_retrying = worth_retrying


class Permanent(Exception):
    """A person has to change something; the sentence says what."""

    def __init__(self, sentence: str, *, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class Unsupported(Exception):
    """The endpoint does not know a parameter that we can do without."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


def classify(fault: Exception, endpoint: EndpointSpec, now: datetime) -> Exception:
    """The fault of one request as `Temporary`, `Permanent` or `Unsupported`.

    `now` is aware and serves to read a Retry-After date.
    """
    if isinstance(fault, openai.APITimeoutError):
        return Temporary(f"The endpoint was silent for {endpoint.timeout_s:g} seconds.")
    if isinstance(fault, openai.APIConnectionError):
        cause = fault.__cause__ or fault
        return Temporary(
            f"The endpoint {endpoint.base_url} cannot be reached.", detail=_bounded(cause)
        )
    if isinstance(fault, openai.APIStatusError):
        return _by_status(fault, endpoint, now)
    if isinstance(fault, openai.APIError):
        return Temporary("The endpoint reported a fault of its own.", detail=_bounded(fault))
    if isinstance(fault, openai.OpenAIError):
        return Permanent("The model client refused its settings.", detail=_bounded(fault))
    return Temporary("The endpoint's answer is not Chat Completions.", detail=_bounded(fault))


def _by_status(fault: openai.APIStatusError, endpoint: EndpointSpec, now: datetime) -> Exception:
    status, detail = fault.status_code, _bounded(fault)
    if fault.code == "insufficient_quota":
        return Temporary(
            f"The account behind {endpoint.api_key_ref or endpoint.base_url} has no credit left: "
            "top it up; waiting runs then go on.",
            detail=detail,
            worth_retrying=False,
        )
    if status in _RETRIED or status >= 500:
        busy = "is too busy" if status == 429 else "has a fault of its own"
        return Temporary(
            f"The endpoint {busy} (status {status}).", detail=detail, wish_s=_wish(fault, now)
        )
    parameter = _rejected_parameter(fault) if status == 400 else ""
    if parameter:
        return Unsupported(parameter)
    return Permanent(_advice(fault, endpoint), detail=detail)


def _advice(fault: openai.APIStatusError, endpoint: EndpointSpec) -> str:
    status, where = fault.status_code, endpoint.base_url
    key = endpoint.api_key_ref or "(no key is registered)"
    if status < 400:
        return f"{where} answers with a redirect: register the address it leads to."
    if _too_long(fault):
        return (
            "The conversation is longer than the model can read: register its real "
            f"context_tokens (now {endpoint.context_tokens}) or choose a model that reads more."
        )
    advice = {
        401: f"{where} does not accept the key {key}: renew it there or correct the reference.",
        402: f"The account behind {key} has to be paid before {where} answers.",
        403: f"The key {key} may not use model {endpoint.model} at {where}: have it allowed.",
        404: f"{where} knows no model {endpoint.model}: correct the address or the model's name.",
        413: f"{where} refuses a conversation of this size: register a smaller context_tokens.",
    }
    return advice.get(
        status,
        f"{where} refused the request (status {status}): read what it says and correct "
        "the model's registration.",
    )


def _too_long(fault: openai.APIStatusError) -> bool:
    return (
        fault.code == "context_length_exceeded" or "maximum context length" in fault.message.lower()
    )


def _rejected_parameter(fault: openai.APIStatusError) -> str:
    if fault.param in _OPTIONAL:
        # A value of ours may also be wrong; leaving the parameter out cures both.
        return str(fault.param)
    if fault.code in _UNSUPPORTED_CODES:
        return next((name for name in _OPTIONAL if f"'{name}'" in fault.message), "")
    return ""


def _wish(fault: openai.APIStatusError, now: datetime) -> float | None:
    headers = fault.response.headers
    milliseconds = parse_retry_after(headers.get("retry-after-ms"), now)
    if milliseconds is not None:
        return milliseconds / 1000
    return parse_retry_after(headers.get("retry-after"), now)


def _bounded(fault: BaseException) -> str:
    text = getattr(fault, "message", None) or str(fault) or type(fault).__name__
    return str(text)[:MAX_DETAIL_CHARS]
