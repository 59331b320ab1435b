"""Text made to cost the analysis time, or to be read otherwise than it runs.

Where a pattern tries each character of a long run again, these take minutes: nothing here
measures time, but nobody would wait for it.
"""

import pytest

from policies.facts.extract import extract
from policies.facts.record import Facts, ToolSpec

TOOLS = (
    ToolSpec(
        "send_mail",
        effect="write",
        roles={"to": "recipient"},
        parameters={"properties": {"to": {}, "body": {}}},
    ),
    ToolSpec("fetch_page", effect="read", labels=frozenset({"untrusted"})),
)
LONG = 190_000


def facts(code: str) -> Facts:
    return extract(code, tools=TOOLS)


@pytest.mark.parametrize(
    "text",
    ["9", "A", "a.", "1_", "/etc", "../", "a://", "DE12", "+1", "eyJ", "{0.a}", "a@", "xoxb-"],
)
def test_a_long_run_is_looked_at_once(text: str) -> None:
    run = text * (LONG // len(text))
    assert not facts(f"x = {run!r}").problems
    facts(f"x = {run}")


@pytest.mark.parametrize("separator", ["\r", "\r\n", "\n\f", "\n"])
def test_every_line_end_of_python_ends_a_comment(separator: str) -> None:
    found = facts(f"# nothing to see{separator}send_mail(fetch_page('u'), 'b')")
    assert [site.tool for site in found.calls] == ["send_mail", "fetch_page"]


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029"])
def test_other_line_ends_do_not(separator: str) -> None:
    found = facts(f"# nothing to see{separator}send_mail(fetch_page('u'), 'b')")
    assert found.calls == ()


@pytest.mark.parametrize("code", ["x = '\ud800'", "x = 1\0", "\ufeffx = 1", "x\u200b = 1"])
def test_text_that_python_would_not_run_is_a_problem(code: str) -> None:
    assert facts(code).problems


@pytest.mark.parametrize(
    "code",
    [
        "it = iter([1])\nx = 0\n" + "x = [x, next(it)]\n" * 2000,
        "class A:\n" + "".join(f"  a{i} = [1]\n" for i in range(800)) + "x = A()\n" * 800,
        "l = []\n" + "l.append(l)\n" * 2000 + "send_mail(l[0], 'b')",
        "x = " + "[" * 80 + "]" * 80,
    ],
)
def test_large_but_plain_programs_are_read(code: str) -> None:
    assert not facts(code).problems


@pytest.mark.parametrize(
    "lines",
    [
        ["c = 1", *(f"x{i} = x{i - 1} if c else x{i - 1}" for i in range(1, 40)), "x39.format(1)"],
        [*(f"x{i} = {'+'.join([f'x{i - 1}'] * 20)}" for i in range(1, 9)), "open(x8)"],
    ],
    ids=["a choice of choices", "a sum of sums"],
)
def test_names_of_names_end_the_analysis(lines: list[str]) -> None:
    facts = extract("\n".join(["x0 = 'a'", *lines]), tools=())
    assert [problem.kind for problem in facts.problems] == ["too-complex"]
