"""The registration file: what it gives, and how it names what is wrong."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.registry import format as register_format
from agents.registry.format import RegisterError, RegisterFile, endpoint_spec, parse
from agents.registry.section import Fault
from agents.registry.text import YamlError, read

GOOD = """\
models:
  large:
    base_url: https://models.example/v1
    model: large-2026
    api_key: env:MODEL_KEY
    price: {input: 2.50, output: 10, currency: EUR}
    labels: [confidential]
    context_tokens: 64000
    unsupported: [stop]
tools:
  list_invoices: {function: "tests.agents.tools.samples:list_invoices"}
  pay: tests.agents.tools.samples:pay
agents:
  Accounts payable:
    description: Matches invoices.
    instructions: |
      You prepare payments.
    model: large
    tools: [list_invoices, pay]
    imports: [math, decimal]
    limits: {steps: 7}
    inputs:
      type: object
      required: [week]
      properties:
        week: {type: string, title: Week, default: 2026-W47}
        until: {type: string, format: date, default: 2026-11-22}
    checks:
      - says: The answer is an object.
        schema: {type: object}
"""


def changed(path: str, value: object) -> str:
    """The good file with one field set."""
    content = read(GOOD).value
    *parents, last = path.split("/")
    holder = content
    for step in parents:
        holder = holder[step]
    holder[last] = value
    return yaml.safe_dump(content, sort_keys=False)


def faults(text: str) -> str:
    with pytest.raises(RegisterError) as raised:
        parse(text)
    return str(raised.value)


def test_everything_is_read() -> None:
    found = parse(GOOD)
    assert isinstance(found, RegisterFile)
    (model,) = found.models
    assert model.settings == {
        "price_in_micros_per_mtok": 2_500_000,
        "price_out_micros_per_mtok": 10_000_000,
        "currency": "EUR",
        "context_tokens": 64_000,
        "unsupported": ["stop"],
    }
    endpoint = endpoint_spec(model)
    assert (endpoint.api_key_ref, endpoint.context_tokens) == ("env:MODEL_KEY", 64_000)
    assert [tool.function.rsplit(":")[-1] for tool in found.tools] == ["list_invoices", "pay"]
    (agent,) = found.agents
    assert (agent.name, agent.mode, agent.agency) == ("Accounts payable", "code", 3)
    assert agent.instructions == "You prepare payments."
    assert agent.limits["steps"] == 7
    assert agent.limits["tokens"] > 0
    assert agent.inputs["properties"]["until"]["default"] == "2026-11-22"
    assert agent.inputs["additionalProperties"] is False
    assert agent.inputs["x-order"] == ["week", "until"]
    assert agent.content()["checks"] == [
        {"says": "The answer is an object.", "schema": {"type": "object"}}
    ]


def test_the_documented_example_is_registrable() -> None:
    documentation = register_format.__doc__ or ""
    example = "\n".join(
        line[4:] for line in documentation.split("\n") if line.startswith("    ") or not line
    )
    assert {agent.name for agent in parse(example).agents} == {"Accounts payable"}


def test_what_is_registered_before_can_be_used() -> None:
    text = "agents:\n  A:\n    instructions: Do.\n    model: old\n    tools: [older]\n"
    assert parse(text, known_models={"old"}, known_tools={"older"}).agents[0].model == "old"
    assert "line 4: agents.A.model: there is no model old" in faults(text)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("models/large/base_url", "ftp://x", "http or https"),
        ("models/large/base_url", None, "base_url"),
        ("models/large/api_key", "sk-secret", "never the key"),
        ("models/large/kind", "bedrock", "one of: openai, azure"),
        ("models/large/kind", "azure", "api_version"),
        ("models/large/timeout_s", 0, "positive"),
        ("models/large/max_attempts", 0, "1 or more"),
        ("models/large/context_tokens", 1000, "smaller than context_tokens"),
        ("models/large/price", {"input": -1}, "price"),
        ("models/large/price", {"input": 0.0000001}, "six digits"),
        ("models/large/price", {"currency": "euro"}, "capital letters"),
        ("models/large/temprature", 1, "no such field"),
        ("models/large/labels", "confidential", "list of names"),
        ("tools/pay", "os.system", "import path"),
        ("tools/pay", 7, "mapping"),
        ("tools/final_answer", "a:b", "cannot be named"),
        ("tools/Pay", "a:b", "cannot be a name"),
        ("agents/Accounts payable/instructions", " ", "not empty"),
        ("agents/Accounts payable/tools", ["pay", "pay"], "given twice"),
        ("agents/Accounts payable/tools", ["wire"], "no tool wire"),
        ("agents/Accounts payable/mode", "magic", "code, tool_calling"),
        ("agents/Accounts payable/agency", 4, "0 to 3"),
        ("agents/Accounts payable/agency", True, "whole number"),
        ("agents/Accounts payable/imports", ["os;"], "list of names"),
        ("agents/Accounts payable/limits", {"steps": 0}, "positive whole number"),
        ("agents/Accounts payable/limits", {"stepps": 9}, "unknown limit"),
        ("agents/Accounts payable/inputs", {"type": "array"}, "type: object"),
        ("agents/Accounts payable/inputs/required", ["day"], "no property"),
        ("agents/Accounts payable/inputs/properties/pay", {"type": "string"}, "variable"),
        ("agents/Accounts payable/inputs/properties/class", {"type": "string"}, "variable"),
        ("agents/Accounts payable/inputs/properties/key",
         {"type": "string", "format": "password"}, "by reference"),
        ("agents/Accounts payable/inputs/properties/x", {"type": "text"}, "type must be one of"),
        ("agents/Accounts payable/inputs/properties/x", {"type": "integer", "default": "a"},
         "default does not fit"),
        ("agents/Accounts payable/inputs/properties/x",
         {"type": "object", "$ref": "http://evil/"}, r"\$ref"),
        ("agents/Accounts payable/checks", [{"says": "x"}], "needs a schema"),
        ("agents/Accounts payable/checks", [{"says": "x", "schema": {"type": "thing"}}],
         "no JSON Schema"),
        ("agents/Accounts payable/checks", "all good", "must be a list"),
        ("policies", {}, "known: models, tools, agents"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_place(path: str, value: object, fault: str) -> None:
    said = faults(changed(path, value))
    assert fault.replace("\\", "") in said
    assert said.startswith("line ")


def test_all_faults_are_told_at_once_in_order() -> None:
    text = changed("models/large/kind", "x").replace("steps: 7", "steps: 0")
    lines = [int(line.split()[1].rstrip(":")) for line in faults(text).split("\n")]
    assert len(lines) == 2
    assert lines == sorted(lines)


def test_a_misspelt_field_is_named_with_its_line() -> None:
    text = GOOD.replace("    limits: {steps: 7}", "    limit: {steps: 7}")
    assert "line 21: agents.Accounts payable.limit: there is no such field" in faults(text)


def test_a_file_that_registers_nothing_says_so() -> None:
    assert "registers nothing" in faults("{}")


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("a: 1\na: 2", 2, "given twice"),
        ("a: &x 1\nb: *x", 1, "anchors and aliases"),
        ("a:\n  b: !!python/object/apply:os.system [id]", 2, "tags"),
        ("? [1]\n: 2", 1, "key must be a word"),
        ("a: [", 1, "expected"),
        ("a: 1\n\tb: 2", 2, "cannot start"),
        ("", 1, "empty"),
        ("a: 1\n---\nb: 2", 2, "document"),
        ("a: 1e999", 1, "too large"),
        ("[" * 60 + "]" * 60, 1, "nested"),
        ("x" * 1_000_001, 1, "bytes"),
        ('a: "\\0"', 1, "no text"),
    ],
)
def test_unsafe_or_broken_yaml_is_refused(text: str, line: int, fault: str) -> None:
    with pytest.raises(YamlError, match=fault) as raised:
        read(text)
    assert raised.value.line == line


def test_words_are_what_they_look_like() -> None:
    value = read("[no, on, yes, 12:30, 2026-11-22, 010, 1.5, true, null, ~, 0x10, '1', <<]").value
    assert value == [
        "no", "on", "yes", "12:30", "2026-11-22", 10, 1.5, True, None, None, "0x10", "1", "<<"
    ]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                "models:",
                "agents:",
                "\n",
                "  ",
                "a:",
                "- ",
                "{",
                "}",
                "[",
                "*x",
                "&x",
                "!!str",
                '"',
                "#",
            ]
        )
    ).map("".join)
)
def test_any_text_is_a_file_or_named_faults(text: str) -> None:
    found: tuple[Fault, ...] = ()
    try:
        parse(text)
    except RegisterError as fault:
        found = fault.faults
    assert all(one.line >= 1 and one.sentence for one in found)


def test_yaml_is_read_as_utf8_files_are(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(GOOD.replace("Matches", "Prüft"), "utf-8")
    assert parse(file.read_text("utf-8")).agents[0].description == "Prüft invoices."
