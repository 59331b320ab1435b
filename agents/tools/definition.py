"""A tool as a value: its contract, the function behind it, and the hash of both."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import pydantic
from jsonschema import Draft202012Validator

from agents.tools import schema
from audit import canonical

MISSING: Any = object()
"""Default of an argument that has none (None is a default like any other)."""


class Effect(StrEnum):
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of the function, in its order.

    Attributes:
        default: JSON value, or `MISSING`.
        converter: between the JSON value and the Python value the function takes.
    """

    name: str
    default: Any
    converter: pydantic.TypeAdapter[Any] = field(repr=False, compare=False)

    @property
    def required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True)
class ToolDefinition:
    """What an agent may call, and under which contract. Calling it calls the function.

    Attributes:
        description: plain text for the agent.
        parameters: JSON Schema of one object; closed, without `$ref`.
        result: JSON Schema of the result.
        effect: `read` changes nothing outside; anything else is `write`.
        tier: risk, 0 (none) to 4 (severe).
        labels: what the result is: `untrusted`, `personal`, `confidential`, …
        roles: argument, or path inside one (`order.iban`) → what it means to a policy:
            `recipient`, `amount`, …
        idempotent: a repeated call with the same key acts once.
        timeout_s: wall-clock seconds.
        max_result_bytes: of the result's JSON text.
        reread: `on_apply`: asked again before a signed manifest that rests on it is applied, which
            a changed answer stops; `journal`: the journaled answer stands.
        import_path: `module:function`.
        arguments: the parameters in the order of the function.
        context_parameter: name of the parameter that takes the `ToolContext`, or "".
        source: text of the function with its decorator.
        digest: SHA-256 hex of all of the above; another digest is another version. It covers
            the function's own text, not what the function calls.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]
    effect: Effect
    tier: int
    labels: frozenset[str]
    roles: Mapping[str, str]
    idempotent: bool
    timeout_s: float
    max_result_bytes: int
    reread: str
    import_path: str
    arguments: tuple[Argument, ...]
    context_parameter: str
    source: str = field(repr=False)
    function: Callable[..., Any] = field(repr=False, compare=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
        return self.function(*args, **kwargs)

    def to_json(self) -> dict[str, Any]:
        """What the digest covers, in a form to store and to compare."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
            "order": [argument.name for argument in self.arguments],
            "result": dict(self.result),
            "effect": self.effect.value,
            "tier": self.tier,
            "labels": sorted(self.labels),
            "roles": dict(self.roles),
            "idempotent": self.idempotent,
            "timeout_s": self.timeout_s,
            "max_result_bytes": self.max_result_bytes,
            "import_path": self.import_path,
            "source": hashlib.sha256(self.source.encode()).hexdigest(),
            **({} if self.reread == "journal" else {"reread": self.reread}),
        }

    @cached_property
    def digest(self) -> str:
        return canonical.digest(self.to_json())

    @cached_property
    def argument_validator(self) -> Draft202012Validator:
        return schema.validator(self.parameters)

    @cached_property
    def result_validator(self) -> Draft202012Validator:
        return schema.validator(self.result)
