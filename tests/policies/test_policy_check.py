"""`manage.py policy_check`, as a person or a pipeline runs it."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

ROOT = Path(__file__).resolve().parents[2]
WEB = {
    "name": "web",
    "parameters": {"type": "object", "properties": {"url": {"type": "string"}}},
    "effect": "read",
    "tier": 0,
    "labels": ["untrusted"],
    "roles": {},
}
SEND = {
    "name": "send",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    "effect": "write",
    "tier": 1,
    "labels": [],
    "roles": {"to": "recipient"},
}


def check(tmp_path: Path, text: str, *options: str) -> tuple[str, str]:
    path = tmp_path / "input"
    path.write_text(text, encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    call_command("policy_check", str(path), *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def lines(tmp_path: Path, *programs: object) -> list[dict[str, Any]]:
    text = "\n".join(p if isinstance(p, str) else json.dumps(p) for p in programs)
    out, _ = check(tmp_path, text, "--jsonl")
    return [json.loads(line) for line in out.splitlines()]


def test_one_program(tmp_path: Path) -> None:
    out, err = check(tmp_path, "import subprocess\nsubprocess.run('id')")
    answer = json.loads(out)
    assert set(answer) == {"outcome", "rules", "sentence", "facts"}
    assert answer["outcome"] == "deny"
    assert "imports-from-the-allowed-list" in [rule["id"] for rule in answer["rules"]]
    assert answer["facts"]["imports"][0]["module"] == "subprocess"
    assert "starter policies" in err


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


def test_a_person_at_a_terminal_gets_words(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("import subprocess\nsubprocess.run('id')")
    out = Terminal()
    call_command("policy_check", str(path), stdout=out, stderr=io.StringIO())
    said = out.getvalue()
    assert said.startswith("Denied: ")
    assert "  imports-from-the-allowed-list: Never allow a program" in said
    assert "{" not in said


def test_lines_keep_their_order_and_id(tmp_path: Path) -> None:
    found = lines(
        tmp_path,
        {"id": 7, "code": "print(1)"},
        {"id": "b", "code": "send(to=web(url='x'))", "tools": [WEB, SEND]},
        {"id": None, "code": "send(to='ann' if web(url='x') else 'bob')", "tools": [WEB, SEND]},
        {"id": ["c"], "code": "import numpy", "imports": ["numpy"]},
        {"code": "import numpy"},
    )
    assert [line.get("id") for line in found] == [7, "b", None, ["c"], None]
    assert [line["outcome"] for line in found] == ["allow", "deny", "review", "allow", "deny"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{broken", "not JSON"),
        ("[1]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"id": 1}', '"code" must be a string'),
        ('{"code": 5}', '"code" must be a string'),
        ('{"code": "", "tools": {}}', '"tools" must be a list'),
        ('{"code": "", "tools": ["gone"]}', "not registered"),
        ('{"code": "", "tools": [5]}', "a registered name or an object"),
        ('{"code": "", "tools": [{"name": "a b"}]}', "identifier"),
        ('{"code": "", "tools": [{"name": "a", "tier": 9}]}', "0 to 4"),
        ('{"code": "", "tools": [{"name": "a", "tier": true}]}', "0 to 4"),
        ('{"code": "", "tools": [{"name": "a", "effect": "both"}]}', '"read" or "write"'),
        ('{"code": "", "tools": [{"name": "a", "labels": "x"}]}', "list of strings"),
        ('{"code": "", "tools": [{"name": "a", "roles": ["x"]}]}', "map arguments"),
        ('{"code": "", "tools": [{"name": "a", "parameters": 3}]}', "JSON Schema"),
        ('{"code": "", "tools": [{"name": "a", "shell": 1}]}', "no field 'shell'"),
        ('{"code": "", "tools": [{"name": "a"}, {"name": "a"}]}', "is taken"),
        ('{"code": "", "tools": [{"name": "final_answer"}]}', "is taken"),
        ('{"code": "", "imports": "os"}', "list of module names"),
    ],
)
def test_a_bad_line_gets_its_own_error(tmp_path: Path, bad: str, message: str) -> None:
    first, second = lines(tmp_path, bad, {"id": 2, "code": "print(1)"})
    assert message in first["error"]
    assert first["line"] == 1
    assert second["outcome"] == "allow"


def test_a_tool_without_declarations_is_taken_for_the_worst(tmp_path: Path) -> None:
    [found] = lines(tmp_path, {"code": "wipe()", "tools": [{"name": "wipe"}]})
    assert found["outcome"] == "review"
    assert found["facts"]["calls"][0]["tier"] == 4


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read"):
        call_command("policy_check", str(tmp_path / "none"), stderr=io.StringIO())


def test_it_reads_standard_input_and_needs_nothing_running() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "policy_check", "--jsonl", "-"],
        cwd=ROOT,
        input=b'{"id": 1, "code": "print(1)"}\n\xff\xfe\n{"id": 2, "code": "eval(\'1\')"}\n',
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COUNTERSIGN_DATABASE_URL": ""},
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("outcome") for line in found] == ["allow", None, "deny"]
    assert found[1]["error"]


def test_half_a_character_is_answered_in_ascii(tmp_path: Path) -> None:
    out, _ = check(tmp_path, '{"id": "\\ud800", "code": "x = 1"}', "--jsonl")
    assert out.isascii()
    assert json.loads(out)["id"] == "\ud800"


def test_a_tool_named_in_half_characters_does_not_stop_the_rest(tmp_path: Path) -> None:
    broken = (
        '{"id": 1, "code": "a(1)", "tools": [{"name": "a", "effect": "write",'
        ' "parameters": {"\\ud800": {}}, "roles": {"\\ud800": "\\udfff"}}]}'
    )
    first, second = lines(tmp_path, broken, {"id": 2, "code": "print(1)"})
    assert first.get("outcome") != "allow"
    assert second["outcome"] == "allow"


def test_a_call_of_a_tool_that_nobody_registered_is_never_just_allowed(tmp_path: Path) -> None:
    """It can only fail where it runs; a reviewer's check must not call it allowed all the same."""
    unknown = "wire_money(account='DE1', amount=5)"
    own = "def wire_money(account):\n    return account\nprint(wire_money('DE1'))"
    found = lines(
        tmp_path,
        {"code": unknown, "tools": []},
        {"code": f"{unknown}\nsend(to='a@example.org')", "tools": [SEND]},
        {"code": f"try:\n    {unknown}\nexcept NameError:\n    print(1)", "tools": [SEND]},
        {"code": own, "tools": []},
        {"code": "print(previous_result)", "tools": []},
    )
    assert [one["outcome"] for one in found] == ["review", "deny", "review", "allow", "allow"]
