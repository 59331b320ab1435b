import ast

import pytest

from agents.tools.definition import ToolDefinition
from agents.tools.stubs import render, render_schemas, type_name
from tests.agents.tools import samples


def test_a_stub_says_what_to_write_and_what_comes_back() -> None:
    assert render(samples.list_invoices) == (
        'def list_invoices(week: str, status: Literal["open", "paid"] = "open", '
        "since: str | None = None, limit: int = 10) -> list[dict]:\n"
        '    """List the invoices of a week.\n'
        "\n"
        "    The oldest come first.\n"
        "\n"
        "    Args:\n"
        '        week: ISO week, for example "2026-W47".\n'
        "        status: Which ones.\n"
        "        since: Only from this day on.\n"
        "        limit: At most so many.\n"
        "\n"
        "    Returns:\n"
        "        The invoices. Each is {number: str, amount: str, due: str, note?: str}\n"
        '    """'
    )


def test_a_write_says_that_it_may_wait() -> None:
    assert "may have to wait for a person" in render(samples.pay)
    assert "wait" not in render(samples.echo)


@pytest.mark.parametrize(
    "definition",
    [item for item in vars(samples).values() if isinstance(item, ToolDefinition)],
    ids=lambda definition: definition.name,
)
def test_every_stub_is_python(definition: ToolDefinition) -> None:
    (function,) = ast.parse(render(definition)).body
    assert isinstance(function, ast.FunctionDef)
    assert [arg.arg for arg in function.args.args] == [a.name for a in definition.arguments]


def test_a_description_cannot_end_its_docstring() -> None:
    stub = render_schemas(
        name="odd",
        description='ends """ here\\',
        parameters={"properties": {"a": {"type": "string", "description": '"""\nimport os'}}},
        order=["a"],
        result={"type": "null"},
        writes=False,
    )
    (function,) = ast.parse(stub).body
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 1


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "dict[str, float]"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | None"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"enum": [1, "a", None]}, 'Literal[1, "a", None]'),
        ({"const": True}, "Literal[True]"),
        ({}, "dict"),
        ({"type": "strange"}, "object"),
    ],
)
def test_schemas_as_types(schema: dict[str, object], name: str) -> None:
    assert type_name(schema) == name
