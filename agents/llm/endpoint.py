"""Where a model is reached, what it costs, and how patiently it is asked."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from agents.llm.chat import Usage

DEFAULT_CONTEXT_TOKENS = 128_000
DEFAULT_MAX_OUTPUT_TOKENS = 4_096

# Reasoning models reject these parameters outright instead of ignoring them.
_REASONING_MODELS = re.compile(r"(?:^|/)(?:o\d|gpt-5|grok-[4-9])", re.IGNORECASE)
_REASONING_LACKS = frozenset({"stop", "temperature", "max_tokens"})


class EndpointKind(StrEnum):
    OPENAI = "openai"
    AZURE = "azure"


class EndpointError(ValueError):
    """An endpoint's description is unusable; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A model behind an OpenAI-compatible address.

    Attributes:
        base_url: up to and including `/v1`; for Azure the resource's own address.
        model: the model's name there; for Azure the deployment.
        api_key_ref: where the key is (`env:NAME`, `file:/path`), never the key; "" for none.
        price_in_micros_per_mtok: millionths of the currency per million input tokens.
        price_out_micros_per_mtok: the same for output tokens.
        currency: ISO 4217 code the prices are in.
        context_tokens: conversation and reply together.
        timeout_s: longest silence of the endpoint, wall-clock seconds.
        deadline_s: longest whole call with all its attempts and waits, wall-clock seconds.
        max_attempts: requests per call, at least 1.
        max_wait_s: longest wait between two attempts; a longer wish of the endpoint ends
            the call, and the run waits without holding a worker.
        api_version: Azure only.
        streaming: False for endpoints whose streams are not Chat Completions.
        unsupported: request parameters the endpoint rejects: any of `stop`, `temperature`,
            `max_tokens` (then `max_completion_tokens` is sent), `stream_options`.
    """

    base_url: str
    model: str
    api_key_ref: str = ""
    kind: EndpointKind = EndpointKind.OPENAI
    price_in_micros_per_mtok: int = 0
    price_out_micros_per_mtok: int = 0
    currency: str = "USD"
    context_tokens: int = DEFAULT_CONTEXT_TOKENS
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    timeout_s: float = 60.0
    deadline_s: float = 300.0
    max_attempts: int = 4
    max_wait_s: float = 20.0
    api_version: str = ""
    streaming: bool = True
    unsupported: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise EndpointError(f"base_url must be an http or https address: {self.base_url!r}")
        if address.username or address.password:
            raise EndpointError("base_url must not hold a user name or password; use api_key_ref")
        if not self.model:
            raise EndpointError("model must name the model at the endpoint")
        if self.kind is EndpointKind.AZURE and not self.api_version:
            raise EndpointError("an Azure endpoint needs api_version, such as 2025-04-01-preview")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in ("timeout_s", "deadline_s", "max_wait_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise EndpointError(f"{name} must be a positive number of seconds")
        for name in ("max_attempts", "context_tokens", "max_output_tokens"):
            if getattr(self, name) < 1:
                raise EndpointError(f"{name} must be at least 1")
        for name in ("price_in_micros_per_mtok", "price_out_micros_per_mtok"):
            if getattr(self, name) < 0:
                raise EndpointError(f"{name} must not be negative")
        if self.max_output_tokens >= self.context_tokens:
            raise EndpointError("max_output_tokens must be smaller than context_tokens")

    @property
    def scripted(self) -> bool:
        """Whether this is the scripted model, which every screen must say."""
        return self.model.startswith("scripted")

    def lacks(self) -> frozenset[str]:
        """Request parameters not to send."""
        if _REASONING_MODELS.search(self.model):
            return self.unsupported | _REASONING_LACKS
        return self.unsupported

    def cost_micros(self, usage: Usage) -> int:
        """Price of the usage in millionths of the currency, rounded up once."""
        total = (
            usage.input_tokens * self.price_in_micros_per_mtok
            + usage.output_tokens * self.price_out_micros_per_mtok
        )
        return -(-total // 1_000_000)
