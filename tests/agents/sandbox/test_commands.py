"""``sandbox_run`` and ``sandbox_check`` as a user types them: no service, no database."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command


def typed(monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: str) -> str:
    """Run ``sandbox_run`` with ``data`` on standard input; give what it prints."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    out = io.StringIO()
    call_command("sandbox_run", *arguments, stdout=out)
    return out.getvalue()


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_program_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    out = typed(monkeypatch, "print('hällo')\nx = {'a': 1}".encode(), "-")
    assert json.loads(out) == {"stdout": "hällo\n", "value": {"a": 1}, "error": None}


def test_a_program_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("x = 1\nx / 0")
    out = io.StringIO()
    call_command("sandbox_run", str(file), stdout=out)
    assert json.loads(out.getvalue())["error"] == {
        "type": "ZeroDivisionError",
        "message": "division by zero",
        "line": 2,
    }


def test_final_answer_is_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    out = typed(monkeypatch, b"final_answer([1])\nprint('never')", "-")
    assert json.loads(out) == {"stdout": "", "value": [1], "error": None}


def test_each_line_has_a_fresh_jail_and_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[dict[str, Any]] = [
        {"id": "first", "code": "print('a')\nx = 1"},
        {"id": 2, "code": "'x' in globals()"},
        {"id": {"any": "thing"}, "code": "n * 2", "state": {"n": [1, "b"]}},
        {"id": None, "code": "while True: pass"},
        {"id": 5, "code": "bytearray(1 << 30)"},
        {"id": 6, "code": "print('x' * 3_000_000)"},
        {"id": 7, "code": "import os; os._exit(1)"},
        {"id": 8, "code": "("},
        {"id": 9, "code": "1", "state": None},
    ]
    data = "\n".join(json.dumps(job) for job in jobs).encode()
    answers = lines(typed(monkeypatch, data, "-", "--jsonl", "--wall-s", "1"))
    assert [one["id"] for one in answers] == [job["id"] for job in jobs]
    assert all(one.keys() == {"id", "stdout", "value", "error"} for one in answers)
    assert [one["error"] and one["error"]["type"] for one in answers] == [
        None, None, None, "limit_time", "limit_memory", "limit_output", "jail_killed",
        "SyntaxError", None,
    ]  # fmt: skip
    assert [one["value"] for one in answers[:3]] == [1, False, [1, "b", 1, "b"]]


def test_a_bad_line_gets_its_own_error_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\n".join(
        [
            b"not json", b"[1]", b'{"code": "1"}', b'{"id": 4}', b'{"id": 5, "code": 5}',
            b'{"id": 6, "code": "1", "state": [1]}', b'{"id": 7, "code": "1", "state": {"a b": 1}}',
            b'{"id": 8, "code": "1", "extra": 1}', b'{"id": 9, "code": "\xff"}', b"",
            b'{"id": 10, "code": "1", "state": {"a": NaN}}', b'{"id": 11, "code": "\\ud800"}',
            b'{"id": 12, "code": "40 + 2"}',
        ]
    )  # fmt: skip
    answers = lines(typed(monkeypatch, data, "-", "--jsonl"))
    assert [one["id"] for one in answers] == [
        None, None, None, 4, 5, 6, 7, 8, None, None, 11, 12,
    ]  # fmt: skip
    assert {one["error"]["type"] for one in answers[:10]} == {"bad_line"}
    assert answers[10]["error"]["type"] == "SyntaxError"
    assert answers[11]["value"] == 42


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (b"", ("/nowhere/at/all.py",)),
        (b"\xff\xfe", ("-",)),
        (b"1", ("-", "--wall-s", "0")),
        (b"1", ("-", "--memory-mb", "0")),
        (b"1", ("-", "--runtime", "nothing")),
        (b"", ("/nowhere/at/all.jsonl", "--jsonl")),
    ],
)
def test_what_the_user_got_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch, data: bytes, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(CommandError):
        typed(monkeypatch, data, *arguments)


def test_check_prints_a_table() -> None:
    out = io.StringIO()
    call_command("sandbox_check", "--quick", stdout=out)
    table = out.getvalue().splitlines()
    assert len(table) >= 18
    assert all(line.startswith("holds") for line in table)
