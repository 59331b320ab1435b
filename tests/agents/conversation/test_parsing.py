"""Parsing: how models really answer, and what must never become a program."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.conversation.parsing import (
    MAX_CODE_CHARS,
    MAX_REPLY_CHARS,
    Form,
    Problem,
    ProblemKind,
    Program,
    check_syntax,
    parse_code,
    visible,
)


def program(text: str, *, truncated: bool = False) -> Program:
    parsed = parse_code(text, truncated=truncated)
    assert isinstance(parsed, Program), parsed
    return parsed


def problem(text: str, *, truncated: bool = False) -> Problem:
    parsed = parse_code(text, truncated=truncated)
    assert isinstance(parsed, Problem), parsed
    return parsed


CODE = "orders = list_orders()\nprint(len(orders))"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (f"I look.\n<code>\n{CODE}\n</code>", Form.TAGS),
        (f"I look.\n<code>\n{CODE}", Form.TAGS),
        (f"I look.\n<CODE>\n{CODE}\n</CODE>", Form.TAGS),
        (f'I look.\n<code lang="python">\n{CODE}\n</code>', Form.TAGS),
        (f"I look.\n<python>\n{CODE}\n</python>", Form.TAGS),
        (f"I look.\n<code>\n```python\n{CODE}\n```\n</code>", Form.TAGS),
        (f"I look.\n```python\n<code>\n{CODE}\n</code>\n```", Form.FENCE),
        (f"I look.\n```python\n{CODE}\n```", Form.FENCE),
        (f"I look.\n```py\n{CODE}\n```\nThat is all.", Form.FENCE),
        (f"I look.\n```\n{CODE}\n```", Form.FENCE),
        (f"I look.\n~~~python\n{CODE}\n~~~", Form.FENCE),
        (f"I look.\n```python\n{CODE}", Form.FENCE),
        (f"Thought: I look.\nCode:\n```py\n{CODE}\n```", Form.FENCE),
        (f"Thought: I look.\nCode:\n{CODE}", Form.BARE),
        (f"I look.\r\n<code>\r\n{CODE}\r\n</code>\r\n".replace("\n", "\r\n"), Form.TAGS),
        ("I look.\n<code>\n    orders = list_orders()\n    print(len(orders))\n</code>", Form.TAGS),
        (
            "1. I look.\n   ```python\n   orders = list_orders()\n   print(len(orders))\n   ```",
            Form.FENCE,
        ),
    ],
)
def test_one_program_in_every_form(text: str, form: Form) -> None:
    parsed = program(text)
    assert parsed.code == CODE
    assert parsed.form is form
    assert parsed.thought in {"I look.", "1. I look."}


def test_whole_text_that_is_python_needs_no_marks() -> None:
    assert program("final_answer(42)") == Program("final_answer(42)", "", Form.BARE)


@pytest.mark.parametrize(
    "text",
    [
        "Done",
        "yes, all",
        "Thanks!",
        "Note: nothing",
        "import taxes",
        "42",
        "'done'",
        "not sure",
        "I have finished the task.",
        "...",
    ],
)
def test_prose_that_happens_to_be_python_is_no_program(text: str) -> None:
    found = problem(text)
    assert found.kind is ProblemKind.NO_CODE
    assert "<code>" in found.message


def test_several_blocks_are_joined_in_order() -> None:
    parsed = program("a\n<code>\nx = 1\n</code>\nb\n<code>\ny = 2\n</code>")
    assert parsed.code == "x = 1\n\ny = 2"
    assert (parsed.blocks, parsed.thought) == (2, "a")


def test_tagged_blocks_win_over_fenced_illustrations() -> None:
    parsed = program("Like\n```python\nexample()\n```\nI do\n<code>\nreal()\n</code>")
    assert parsed.code == "real()"


def test_other_languages_in_fences_are_no_program() -> None:
    text = '```json\n{"a": 1}\n```\n```bash\nrm -rf /\n```\n```python\nx = 1\n```'
    assert program(text).code == "x = 1"
    assert problem("```bash\nrm -rf /\n```").kind is ProblemKind.NO_CODE


@pytest.mark.parametrize(
    "line",
    [
        'page = "<code>x</code>"',
        'page = "<code>x"',
        'text = """\n</code>\n"""',
        'print("```")',
        'doc = """\n```python\nx\n```\n"""',
        'mark = "</think><think>"',
        'said = "<observation>"',
    ],
)
@pytest.mark.parametrize("wrap", ["<code>\n{}\n</code>", "```python\n{}\n```"])
def test_marks_inside_strings_belong_to_the_program(line: str, wrap: str) -> None:
    assert program("why\n" + wrap.format(line + "\nprint(1)")).code == line + "\nprint(1)"


def test_a_tag_mentioned_in_prose_opens_nothing() -> None:
    parsed = program("I put it in <code> tags.\n<code>\nprint(1)\n</code>")
    assert parsed.code == "print(1)"


def test_broken_python_is_passed_on_as_written() -> None:
    assert program("<code>\nprint(1\n</code>").code == "print(1"


@pytest.mark.parametrize("name", ["think", "thinking", "reasoning"])
def test_thinking_is_never_run(name: str) -> None:
    text = f"<{name}>draft <code>pay()</code></{name}>\nI do it.\n<code>\nlook()\n</code>"
    assert program(text) == Program("look()", "I do it.", Form.TAGS, 1)
    assert "pay" not in visible(text)


def test_thinking_without_its_opening_tag_is_never_run() -> None:
    assert (
        program("maybe <code>\npay()\n</code>\n</think>\n<code>\nlook()\n</code>").code == "look()"
    )


def test_thinking_without_its_end_is_never_run() -> None:
    found = problem("<think>I could <code>\npay()\n</code>")
    assert found.kind is ProblemKind.EMPTY
    assert "thinking" in found.message


@pytest.mark.parametrize("invented", ["<observation>\n5\n", "Observation: 5\n"])
def test_what_follows_an_invented_observation_is_never_run(invented: str) -> None:
    text = f"<code>\nx = look()\n</code>\n{invented}<code>\nfinal_answer(5)\n</code>"
    assert program(text).code == "x = look()"
    assert visible(text).endswith("</code>")


@pytest.mark.parametrize("fenced", [False, True])
def test_structured_output(fenced: bool) -> None:
    body = json.dumps({"thought": " I look. ", "code": f"```python\n{CODE}\n```"})
    parsed = program(f"```json\n{body}\n```" if fenced else body)
    assert parsed == Program(CODE, "I look.", Form.STRUCTURED)


def test_structured_output_without_code_teaches_the_form() -> None:
    assert problem('{"thought": "hm"}').kind is ProblemKind.NO_CODE


def test_a_program_that_is_a_dictionary_literal_is_not_mistaken() -> None:
    assert program('{"code": print(1)}').code == '{"code": print(1)}'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", ProblemKind.EMPTY),
        (" \n\t", ProblemKind.EMPTY),
        ("<code>\nx = '\0'\n</code>", ProblemKind.NOT_TEXT),
        ("<code>\nx = '\ud800'\n</code>", ProblemKind.NOT_TEXT),
        ("x" * (MAX_REPLY_CHARS + 1), ProblemKind.TOO_LONG),
        ("<code>\n" + "x = 1\n" * (MAX_CODE_CHARS // 6 + 10) + "</code>", ProblemKind.TOO_LONG),
        ("<code>\n\n</code>", ProblemKind.NO_CODE),
    ],
)
def test_refused(text: str, kind: ProblemKind) -> None:
    assert problem(text).kind is kind


def test_a_reply_cut_at_the_token_limit_is_half_a_program_and_not_run() -> None:
    half = "I pay.\n<code>\nfor order in orders:\n    pay(order)"
    assert program(half).code
    assert problem(half, truncated=True).kind is ProblemKind.CUT_OFF
    assert problem("I think that", truncated=True).kind is ProblemKind.CUT_OFF
    assert program(half + "\n</code>\nand", truncated=True).code


def test_syntax_faults_show_line_and_caret() -> None:
    found = check_syntax("x = 1\nprint(x\n")
    assert found is not None
    assert "line 2" in found.message
    assert "print(x" in found.message
    assert "^" in found.message
    assert check_syntax(CODE) is None
    assert check_syntax("path = '\\d'") is None


@pytest.mark.parametrize(
    "text",
    [
        "<code>" * 60_000,
        "</code>" * 50_000,
        "```\n" * 90_000,
        "<think>" * 50_000,
        "<code>\n" + "x=1\n</code>\n" * 30_000,
        "<code>\n" + "(" * 90_000,
        "<code>\n" + "-" * 90_000 + "1\n</code>",
        "<code>\nx" + ".a" * 40_000 + "\n</code>",
        '{"code":' * 40_000,
        "<code>\nf(" + "[" * 300 + "]" * 300 + ")\n</code>",
    ],
)
def test_a_reply_made_to_be_parsed_for_ever_is_answered(text: str) -> None:
    assert isinstance(parse_code(text), Program | Problem)
    assert isinstance(visible(text), str)


_PIECES = st.lists(
    st.sampled_from(
        [
            "<code>",
            "</code>",
            "```python\n",
            "```\n",
            "```",
            "<think>",
            "</think>",
            "\n",
            "x = 1",
            "'",
            '"""',
            "    ",
            "<observation>",
            "Code:\n",
            "\r\n",
            '{"code": "',
            '"}',
            "print(",
            ")",
        ]
    )
    | st.text(max_size=8),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(_PIECES)
def test_any_text_gives_a_program_or_a_problem(pieces: list[str]) -> None:
    text = "".join(pieces)
    parsed = parse_code(text)
    assert isinstance(parsed, Program | Problem)
    if isinstance(parsed, Program):
        assert parsed.code.strip()
        assert "\r" not in parsed.code


@settings(max_examples=100, deadline=None)
@given(_PIECES)
def test_what_is_kept_of_a_reply_parses_to_the_same(pieces: list[str]) -> None:
    text = "".join(pieces)
    first = parse_code(visible(text))
    assert parse_code(visible(visible(text))) == first
