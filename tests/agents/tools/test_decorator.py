"""Definition: what becomes a tool, and what is refused with which advice."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from agents.tools import decorator
from agents.tools.context import ToolContext
from agents.tools.decorator import tool
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolDefinitionError
from tests.agents.tools import samples


def test_the_schema_is_closed_and_self_contained() -> None:
    assert samples.list_invoices.parameters == {
        "type": "object",
        "properties": {
            "week": {"type": "string", "description": 'ISO week, for example "2026-W47".'},
            "status": {
                "type": "string",
                "enum": ["open", "paid"],
                "default": "open",
                "description": "Which ones.",
            },
            "since": {
                "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
                "default": None,
                "description": "Only from this day on.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 10,
                "description": "At most so many.",
            },
        },
        "required": ["week"],
        "additionalProperties": False,
    }


def test_records_are_spelled_out_and_decimals_are_text() -> None:
    result = samples.list_invoices.result
    assert result["description"] == "The invoices."
    item = result["items"]
    assert item["additionalProperties"] is False
    assert set(item["required"]) == {"number", "amount", "due"}
    assert item["properties"]["amount"]["type"] == "string"
    person = samples.pay.parameters["properties"]["people"]["items"]
    assert person["properties"]["home"]["anyOf"][0]["properties"]["zip"] == {
        "type": "string",
        "default": "00000",
    }
    assert "$ref" not in str(samples.pay.to_json())
    assert "title" not in str(samples.pay.parameters)


def test_the_description_is_the_docstring_without_its_sections() -> None:
    described = samples.list_invoices.description
    assert described == "List the invoices of a week.\n\nThe oldest come first."


def test_the_context_is_injected_and_not_part_of_the_schema() -> None:
    assert samples.list_invoices.context_parameter == "context"
    assert "context" not in samples.list_invoices.parameters["properties"]
    assert [a.name for a in samples.list_invoices.arguments] == ["week", "status", "since", "limit"]


def test_a_tool_can_still_be_called_as_a_function() -> None:
    assert samples.echo("hello") == "hello"
    assert samples.echo.import_path == "tests.agents.tools.samples:echo"


@pytest.mark.parametrize(
    "change",
    [
        {"effect": "read"},
        {"tier": 4},
        {"labels": frozenset({"personal"})},
        {"roles": {}},
        {"import_path": "elsewhere:pay"},
        {"source": "def pay(): ..."},
        {"description": "Pay anyone."},
        {"parameters": {"type": "object"}},
        {"result": {}},
        {"idempotent": False},
        {"timeout_s": 31.0},
    ],
)
def test_any_change_of_content_is_another_version(change: dict[str, Any]) -> None:
    effect = decorator.Effect(change["effect"]) if "effect" in change else samples.pay.effect
    changed = dataclasses.replace(samples.pay, **{**change, "effect": effect})
    assert changed.digest != samples.pay.digest
    assert dataclasses.replace(samples.pay).digest == samples.pay.digest


class Loop(TypedDict):
    """Contains itself."""

    inner: "list[Loop]"


def no_doc(x: int) -> None: ...


def undescribed(x: int) -> None:
    """Do."""


def unhinted(x) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Do.

    Args:
        x: It.
    """


def vague(x: Any) -> None:
    """Do.

    Args:
        x: It.
    """


def bare_list(x: list) -> None:  # type: ignore[type-arg]
    """Do.

    Args:
        x: It.
    """


def number_keys(x: dict[int, str]) -> None:
    """Do.

    Args:
        x: It.
    """


def raw(x: bytes) -> None:
    """Do.

    Args:
        x: It.
    """


def pair(x: tuple[int, int]) -> None:
    """Do.

    Args:
        x: It.
    """


def endless(x: Loop) -> None:
    """Do.

    Args:
        x: It.
    """


def many(*x: int) -> None:
    """Do.

    Args:
        x: It.
    """


def keywords(**x: int) -> None:
    """Do.

    Args:
        x: It.
    """


def positional(x: int, /) -> None:
    """Do.

    Args:
        x: It.
    """


def no_return(x: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Do.

    Args:
        x: It.
    """


def mistyped_default(x: int = "a") -> None:  # type: ignore[assignment]
    """Do.

    Args:
        x: It.
    """


def misnamed(x: int) -> None:
    """Do.

    Args:
        x: It.
        y: Not there.
    """


def two_contexts(a: ToolContext, b: ToolContext) -> None:
    """Do."""


def unresolved(x: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do.

    Args:
        x: It.
    """


async def later() -> None:
    """Do."""


def stream() -> Any:
    """Do."""
    yield 1


def final_answer() -> None:
    """Do."""


def Shouting() -> None:  # noqa: N802
    """Do."""


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (no_doc, "not described"),
        (undescribed, "add it under Args"),
        (unhinted, "no type hint"),
        (vague, "no exact JSON form"),
        (bare_list, "say what list holds"),
        (number_keys, "must be str"),
        (raw, "no exact JSON form"),
        (pair, "no exact JSON form"),
        (endless, "contains itself"),
        (many, r"\*args"),
        (keywords, r"\*\*kwargs"),
        (positional, "positional-only"),
        (no_return, "no return type"),
        (mistyped_default, "default does not fit"),
        (misnamed, "'?y'?, which is no argument"),
        (two_contexts, "more than one"),
        (unresolved, "cannot be resolved"),
        (later, "not async"),
        (stream, "no generator"),
        (final_answer, "cannot name a tool"),
        (Shouting, "cannot name a tool"),
        (lambda: None, "no return type"),
        (print, "plain function"),
        (samples.Address, "plain function"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_advice(
    function: Callable[..., Any], advice: str
) -> None:
    with pytest.raises(ToolDefinitionError, match=advice):
        tool(effect="read")(function)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"effect": "append"}, "effect must be"),
        ({"tier": 5}, "tier"),
        ({"tier": True}, "tier"),
        ({"labels": ["Very Secret"]}, "label"),
        ({"roles": {"nobody": "amount"}}, "no argument"),
        ({"roles": {"what.inside": "amount"}}, "no field of one"),
        ({"roles": {"what": "the amount"}}, "role"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"max_result_bytes": 0}, "max_result_bytes"),
        ({"name": "import"}, "cannot name"),
        ({"name": "os.system"}, "cannot name"),
    ],
)
def test_what_the_decorator_says_is_checked(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ToolDefinitionError, match=advice):
        tool(**{"effect": "read", **options})(samples.echo.function)


def settle(lines: list[samples.Invoice]) -> None:
    """Settle invoices.

    Args:
        lines: Them.
    """


def test_fields_inside_an_argument_have_roles_by_their_path() -> None:
    made = tool(effect="write", roles={"lines.amount": "amount"})(settle)
    assert made.roles == {"lines.amount": "amount"}
    with pytest.raises(ToolDefinitionError, match="no field of one"):
        tool(effect="write", roles={"lines.iban": "recipient"})(settle)


def test_nested_functions_are_refused() -> None:
    def inner() -> None:
        """Do."""

    with pytest.raises(ToolDefinitionError, match="top level"):
        tool(effect="read")(inner)


def test_all_samples_are_definitions() -> None:
    found = [item for item in vars(samples).values() if isinstance(item, ToolDefinition)]
    assert len({definition.digest for definition in found}) == len(found) > 8
