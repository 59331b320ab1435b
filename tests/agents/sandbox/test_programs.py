"""What an honest program meets: an ordinary Python that remembers."""

import pytest

from tests.agents.sandbox.lab import Lab


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", 2),
        ("x = {'a': [1, 2.5, None, True]}", {"a": [1, 2.5, None, True]}),
        ("a = b = 3", 3),
        ("a, b = 1, 2", [1, 2]),
        ("n: int = 4", 4),
        ("n = 1\nn += 4", 5),
        ("d = {}\nd['x'] = 7", 7),
        ("n: int", None),
        ("def f(): return 1", None),
        ("for i in range(3): i", None),
        ("", None),
        ("# only a comment", None),
        ("'a'\nimport math", None),
        ("(1, 'b')", [1, "b"]),
        ("if True:\n    5", None),
        ("'ä€😀'", "ä€😀"),
        ("print('x')", None),
        ("lambda: 1", None),
    ],
)
def test_value_is_that_of_the_last_top_level_statement(
    steady: Lab, code: str, value: object
) -> None:
    result = steady.step(code)
    assert result.status == "completed"
    if code.startswith("lambda"):
        assert set(result.value) == {"repr"}
    else:
        assert result.value == value


@pytest.mark.parametrize(
    "code",
    [
        "object()",
        "{1: 2}",
        "float('nan')",
        "2**60",
        "list(range(100_000))",
        "'\\ud800'",
        "{'a': print}",
    ],
)
def test_a_value_that_is_not_json_is_shown_by_its_repr(steady: Lab, code: str) -> None:
    value = steady.value(code)
    assert set(value) == {"repr"}
    assert len(value["repr"]) <= 21_000


def test_a_repr_that_raises_is_no_error_of_the_step(lab: Lab) -> None:
    value = lab.value("class C:\n    def __repr__(self): raise KeyError('x')\nC()")
    assert value == {"repr": "<C whose repr raised KeyError>"}


def test_everything_persists_over_steps(lab: Lab) -> None:
    lab.step("import math as m\nfrom dataclasses import dataclass\nrows = [1]")
    lab.step("@dataclass\nclass Row:\n    n: int\n\ndef area(r): return m.pi * r * r + rows[0]")
    assert lab.value("rows.append(2)\n[round(area(1), 2), len(rows), Row(3).n]") == [4.14, 2, 3]


def test_recursion_and_comprehensions_see_the_programs_own_names(lab: Lab) -> None:
    code = "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n[fib(i) for i in range(10)]"
    assert lab.value(code)[-1] == 34


def test_the_usual_main_block_runs(lab: Lab) -> None:
    result = lab.step(
        "import sys\ndef main(): print('ran')\nif __name__ == '__main__':\n    sys.exit(main())"
    )
    assert (result.status, result.stdout) == ("completed", "ran\n")


@pytest.mark.parametrize(
    ("code", "message"), [("exit(3)", "3"), ("raise SystemExit('no orders')", "no orders")]
)
def test_leaving_with_a_reason_is_an_error(steady: Lab, code: str, message: str) -> None:
    error = steady.error(code)
    assert (error.type, error.message) == ("SystemExit", message)


def test_state_presets_variables(lab: Lab) -> None:
    assert lab.value("limit * 2", state={"limit": 21}) == 42
    assert lab.value("limit") == 21


def test_classes_can_be_inspected_and_hints_resolved(lab: Lab) -> None:
    code = (
        "from __future__ import annotations\nimport inspect, typing\n"
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Order:\n    total: int\n"
        "[typing.get_type_hints(Order)['total'].__name__, inspect.getsource(Order).count('total')]"
    )
    assert lab.value(code) == ["int", 1]


def test_output_is_kept_in_order_with_warnings_and_errors(lab: Lab) -> None:
    result = lab.step(
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\nsys.stdout.write('c')\n1/0"
    )
    assert result.stdout == "a\nb\nc"
    assert result.stdout_bytes == 5


def test_redirected_output_stays_with_the_program(lab: Lab) -> None:
    code = (
        "import io, contextlib\nheld = io.StringIO()\n"
        "with contextlib.redirect_stdout(held): print('inside')\nprint('outside')\nheld.getvalue()"
    )
    result = lab.step(code)
    assert (result.stdout, result.value) == ("outside\n", "inside\n")


def test_closing_stdout_harms_one_step_only(lab: Lab) -> None:
    lab.step("import sys\nprint('x')\nsys.stdout.close()")
    assert lab.step("print('y')").stdout == "y\n"


def test_odd_text_can_be_printed_and_stored(lab: Lab) -> None:
    result = lab.step("print('a\\0b', '\\ud800', 'ü')")
    assert result.stdout == "a␀b \\ud800 ü\n"
    assert result.stdout.encode()


def test_addresses_do_not_change_the_hash_of_output(lab: Lab) -> None:
    first = lab.step("class C: pass\nkept = [C() for _ in range(9)]\nprint(kept[0])")
    second = lab.step("print(kept[5])")
    assert first.stdout != second.stdout
    assert first.stdout_sha256 == second.stdout_sha256


# --- errors ---------------------------------------------------------------------------------


def test_an_error_names_line_and_source_of_the_program(lab: Lab) -> None:
    error = lab.error("x = 1\ny = [1, 2]\nz = y[x + 5]\n")
    assert (error.type, error.line, error.source_line) == ("IndexError", 3, "z = y[x + 5]")
    assert error.trace == ""


def test_an_error_in_a_function_of_an_earlier_step_is_traced(lab: Lab) -> None:
    lab.step("\ndef ratio(a, b):\n    return a / b")
    error = lab.error("print('start')\nratio(1, 0)")
    assert (error.line, error.source_line) == (2, "ratio(1, 0)")
    assert (
        error.trace
        == "line 2, in <module>: ratio(1, 0)\nline 3 of <step 1>, in ratio: return a / b"
    )


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("total_amount = 1\ntotal_amuont", "Did you mean total_amount?"),
        ("'x'.uper()", "Did you mean upper"),
        ("import maths", "Only the standard library"),
        ("open('/etc/passwd')", "Use a tool"),
        ("def f(): f()\nf()", "Use a loop"),
    ],
)
def test_hints_help_to_correct(steady: Lab, code: str, hint: str) -> None:
    assert hint in steady.error(code).hint


def test_imports_can_be_limited_for_the_program_but_not_for_libraries(lab: Lab) -> None:
    allowed = ("json", "collections")
    assert lab.value("import json, collections.abc\njson.dumps(1)", modules=allowed) == "1"
    error = lab.error("import os", modules=allowed)
    assert error.type == "ImportError"
    assert error.hint == "Allowed imports: json, collections."
    assert lab.error("def f():\n    import socket\nf()", modules=allowed).type == "ImportError"


@pytest.mark.parametrize(
    "code",
    [
        "(",
        "def f(:",
        "x = '\0'",
        "(" * 5000,
        "-" * 100_000 + "1",
        "é" * 3 + " = = 1",
        "\x00",
        "return 1",
    ],
)
def test_code_that_cannot_be_parsed_is_a_syntax_error(steady: Lab, code: str) -> None:
    result = steady.step(code)
    assert result.error is not None
    assert (result.status, result.error.type) == ("error", "SyntaxError")
    assert steady.value("1") == 1


def test_an_error_whose_text_cannot_be_made_is_shown_all_the_same(lab: Lab) -> None:
    error = lab.error("class Odd(Exception):\n    def __str__(self): return 1\nraise Odd")
    assert (error.type, error.message) == ("Odd", "<its text cannot be made: TypeError>")


def test_input_says_why_it_cannot_work(lab: Lab) -> None:
    error = lab.error("input('Name? ')")
    assert error.type == "RuntimeError"
    assert "nobody sits at this program" in error.message


@pytest.mark.parametrize(
    "code", ["raise KeyboardInterrupt", "raise GeneratorExit", "raise BaseException('x')"]
)
def test_any_exception_is_the_programs_result(steady: Lab, code: str) -> None:
    assert steady.step(code).status == "error"
    assert steady.value("2") == 2


def test_the_builtins_of_the_program_are_not_the_guests(lab: Lab) -> None:
    lab.step(
        "import builtins\nfor n in ('len', 'isinstance', 'type', 'print', 'memoryview', 'str'):\n"
        "    setattr(builtins, n, None)"
    )
    assert lab.value("[1, {'a': 2}]") == [1, {"a": 2}]
