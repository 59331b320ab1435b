"""Tools, placeholders and endings, through the real channel."""

import pytest

from agents.sandbox.contract import Deferred, EndStep, Parameter, Raise, Stub, Value
from agents.sandbox.errors import JailClosed
from tests.agents.sandbox.lab import Lab, deferred


def test_a_call_binds_positions_names_and_defaults(lab: Lab) -> None:
    lab.step("pay('Ann')\npay('Bob', 5)\npay(amount=7, to='Cid')")
    assert [call.arguments for call in lab.calls] == [
        {"to": "Ann", "amount": 1},
        {"to": "Bob", "amount": 5},
        {"to": "Cid", "amount": 7},
    ]
    assert [call.seq for call in lab.calls] == [0, 1, 2]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("pay()", "pay() misses the argument 'to'; it takes to, amount"),
        ("pay(1, 2, 3)", "pay() was given 3 arguments by position; it takes to, amount"),
        ("pay(1, recipient=2)", "pay() has no argument 'recipient'; it takes to, amount"),
        ("pay(1, to=2)", "pay() was given 'to' twice"),
        (
            "pay(print)",
            "pay(): argument to is of type builtin_function_or_method, which has no JSON",
        ),
        ("pay({'a': [1, {3: 4}]})", "pay(): argument to['a'][1] has the key 3 of type int"),
        ("pay(x for x in [1])", "use list(…)"),
        ("pay(2**53)", "beyond 2**53 - 1"),
        ("pay(float('inf'))", "which JSON cannot hold"),
        ("pay('a\\0b')", "NUL"),
        ("pay('\\ud800')", "lone surrogate"),
        ("a = []\na.append(a)\npay(a)", "nested deeper than 60 levels"),
        ("pay('x' * 300_000)", "at most 262144 are possible"),
    ],
)
def test_a_wrong_call_is_an_error_of_the_program_that_says_what_to_do(
    steady: Lab, code: str, message: str
) -> None:
    error = steady.error(code)
    assert error.type in {"TypeError", "ValueError"}
    assert message in error.message
    assert steady.calls == []


def test_documented_conversions(lab: Lab) -> None:
    code = """
import collections, dataclasses, datetime, decimal, enum, pathlib, types, uuid
class Colour(enum.Enum): RED = "red"
class Level(enum.IntEnum): LOW = 1
@dataclasses.dataclass
class Line: n: int; price: decimal.Decimal
Point = collections.namedtuple("Point", "x y")
utc = datetime.timezone.utc
pay([decimal.Decimal("12.50"), datetime.date(2026, 1, 2),
     datetime.datetime(2026, 1, 2, 3, tzinfo=utc),
     datetime.time(4, 5), uuid.UUID(int=1), pathlib.Path("/a/b"), Colour.RED, Level.LOW, {3, 1, 2},
     (1, 2), Point(1, 2), b"\\x00\\xff", Line(1, decimal.Decimal("0.1")),
     collections.Counter("aab"),
     types.MappingProxyType({"k": 1}), collections.OrderedDict(b=1, a=2), True])
"""
    lab.step(code)
    assert lab.calls[0].arguments["to"] == [
        "12.50", "2026-01-02", "2026-01-02T03:00:00+00:00", "04:05:00",
        "00000000-0000-0000-0000-000000000001", "/a/b", "red", 1, [1, 2, 3], [1, 2], [1, 2], "AP8=",
        {"n": 1, "price": "0.1"}, {"a": 2, "b": 1}, {"k": 1}, {"b": 1, "a": 2}, True,
    ]  # fmt: skip


@pytest.mark.parametrize("caught", ["ToolError", "ValueError", "Exception"])
def test_an_error_of_a_tool_can_be_handled(steady: Lab, caught: str) -> None:
    steady.answer = lambda call: Raise("ValueError", "no such vendor")
    told = "found = f'{type(e).__name__}: {e}'"
    code = f"try:\n    pay('x')\nexcept {caught} as e:\n    {told}\nfound"
    assert steady.value(code) == "ValueError: no such vendor"


def test_an_unhandled_error_of_a_tool_is_the_programs(lab: Lab) -> None:
    lab.answer = lambda call: Raise("VendorUnknown", "no such vendor")
    error = lab.error("x = 1\npay('x')")
    assert (error.type, error.message, error.line) == ("VendorUnknown", "no such vendor", 2)


def test_tools_are_there_again_after_a_program_has_overwritten_them(lab: Lab) -> None:
    lab.step("pay = 3")
    assert lab.value("pay('x')") == {"to": "x", "amount": 1}


def test_tools_have_names_and_docs(lab: Lab) -> None:
    assert lab.value("[pay.__name__, pay.__doc__]") == ["pay", "pay(to, amount=1)"]


def test_tools_are_called_from_the_main_thread_only(lab: Lab) -> None:
    code = (
        "import threading\nseen = []\n"
        "def work():\n    try: pay('x')\n    except RuntimeError as e: seen.append(str(e))\n"
        "t = threading.Thread(target=work)\nt.start()\nt.join()\nseen[0]"
    )
    assert "main thread only" in lab.value(code)
    assert lab.calls == []


def test_what_was_printed_before_a_call_survives_its_end(lab: Lab) -> None:
    lab.answer = lambda call: EndStep("switched off")
    result = lab.step("print('before')\npay('x')\nprint('after')")
    assert (result.status, result.stdout, result.calls) == ("stopped", "before\n", 1)


def test_an_exception_of_the_handler_ends_the_jail(lab: Lab) -> None:
    def lose(call: object) -> Value:
        raise ConnectionError("lease lost")

    lab.answer = lose
    with pytest.raises(ConnectionError):
        lab.step("pay('x')")
    assert not lab.jail.alive


def test_the_time_of_a_tool_is_not_the_programs(lab: Lab) -> None:
    import time

    def slow(call: object) -> Value:
        time.sleep(1.2)
        return Value(1)

    lab.answer = slow
    result = lab.step("pay('x')")
    assert result.status == "completed"
    assert result.wall_ms < 1000


# --- endings that cannot be swallowed -------------------------------------------------------

_SWALLOW = """
import signal
class Greedy:
    def __enter__(self): return self
    def __exit__(self, *a): print('exit'); return True
try:
    with Greedy():
        {what}
        print('went on')
except BaseException:
    print('caught')
finally:
    print('finally')
print('after')
pay('sneaked')
"""


def test_final_answer_cannot_be_swallowed(lab: Lab) -> None:
    result = lab.step(_SWALLOW.format(what="print('last'); final_answer({'n': (1, 2)})"))
    assert (result.status, result.final, result.stdout) == ("final", {"n": [1, 2]}, "last\n")
    assert lab.calls == []


def test_the_jail_serves_on_after_a_final_answer(lab: Lab) -> None:
    lab.step("kept = [1]")
    for _ in range(3):
        assert lab.step("final_answer(kept)").final == [1]
    assert lab.value("kept + [2]") == [1, 2]
    assert lab.value("pay('x')['to']") == "x"


def test_final_answer_takes_one_sendable_value(lab: Lab) -> None:
    assert lab.step("final_answer(answer='yes')").final == "yes"
    assert "exactly one value" in lab.error("final_answer()").message
    assert "has no JSON form" in lab.error("final_answer(object())").message
    assert lab.step("final_answer(None)").status == "final"


def test_the_end_of_a_step_cannot_be_swallowed(lab: Lab) -> None:
    lab.answer = lambda call: EndStep("stopped by policy")
    result = lab.step(_SWALLOW.format(what="pay('x')"))
    assert (result.status, result.stdout) == ("stopped", "")
    assert [call.arguments["to"] for call in lab.calls] == ["x"]


# --- placeholders ---------------------------------------------------------------------------


def test_a_placeholder_is_passed_on_indexed_and_put_into_text(lab: Lab) -> None:
    lab.answer = deferred
    code = """
p = pay('Ann')
look(p)
look({'ids': [p['id'], p['lines'][0]['n']], 'by': p.get('id')})
look(f"Number {p['id']}, {p['id']!s}, %s, {{}}".format(p["id"]) % p["id"])
look("a" + p["id"] + "b")
print(p, p["lines"][0])
"""
    result = lab.step(code)
    assert result.status == "completed", (result.error, lab.needed)
    sent = [call.arguments["what"] for call in lab.calls[1:]]

    def reference(*path: object) -> dict[str, object]:
        return {"$placeholder": "token0", "path": list(path)}

    assert sent[0] == reference()
    assert sent[1] == {
        "ids": [reference("id"), reference("lines", 0, "n")],
        "by": reference("id"),
    }
    assert sent[2].count("⟦token0/id⟧") == 4
    assert sent[3] == "a⟦token0/id⟧b"
    assert result.stdout == "⟦token0⟧ ⟦token0/lines/0⟧\n"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("if p: pass", "truth"),
        ("not p", "truth"),
        ("p == 1", "comparison"),
        ("p['amount'] > 3", "comparison"),
        ("{p: 1}", "comparison"),
        ("p in [1]", "comparison"),
        ("p['amount'] + 1", "arithmetic"),
        ("'x' + p['amount']", "arithmetic"),
        ("p['amount'] * 2", "arithmetic"),
        ("sum([p['amount']])", "arithmetic"),
        ("for row in p['lines']: pass", "iteration"),
        ("a, b = p", "iteration"),
        ("list(p)", "iteration"),
        ("len(p['lines'])", "its length"),
        ("int(p['amount'])", "conversion to a number"),
        ("range(p['amount'])", "conversion to a number"),
        ("p['note']", "its member 'note'"),
        ("p['lines'][1]", "its member 1"),
        ("p['id'].upper()", "its attribute 'upper'"),
        ("p.items()", "its attribute 'items'"),
        ("f\"{p['amount']:.2f}\"", "formatting as '.2f'"),
        ("isinstance(p, dict)", "its type"),
        ("import json\njson.dumps({'a': p})", "its type"),
        ("import copy\ncopy.copy(p)", "copying"),
        ("p['id'] = 3", "changing it"),
        ("p()", "calling it"),
        ("max(p['amount'], 1)", "comparison"),
        ("round(p['amount'])", "arithmetic"),
        ("open(p['id'])", "conversion to a number"),
        ("dict(p)", "its attribute 'keys'"),
        ("sorted([p, p])", "comparison"),
        ("match p:\n    case {'id': x}: pass", ""),
    ],
)
def test_needing_the_value_ends_the_step_whatever_the_program_catches(
    lab: Lab, code: str, what: str
) -> None:
    lab.answer = deferred
    block = "\n".join("    " + line for line in code.splitlines())
    caught = f"try:\n{block}\nexcept BaseException as e:\n    print(e)"
    program = f"p = pay('Ann')\nprint('before')\n{caught}\nlook('went on')"
    result = lab.step(program)
    if not what:  # A pattern looks at the type itself; the host notices at the next effect.
        assert result.status == "completed"
        return
    assert (result.status, result.stdout, len(lab.calls)) == ("stopped", "before\n", 1)
    assert lab.needed[0][0] == "token0"
    assert what in lab.needed[0][1]


def test_a_member_that_cannot_exist_is_a_key_error_now(lab: Lab) -> None:
    lab.answer = deferred
    assert lab.error("pay('Ann')['iban']").type == "KeyError"


def test_a_result_that_is_always_null_needs_no_placeholder(lab: Lab) -> None:
    lab.answer = lambda call: Deferred("t", {"type": "null"})
    assert lab.value("[pay('x') is None]") == [True]


def test_joining_placeholders_says_how_to_do_it(lab: Lab) -> None:
    lab.answer = deferred
    assert "f'{" in lab.error("', '.join([pay('x')['id']])").hint


def test_paths_in_text_escape_as_json_pointers(lab: Lab) -> None:
    schema = {"type": "object", "properties": {"a/b~c": {}}, "required": ["a/b~c"]}
    lab.answer = lambda call: Deferred("t", schema)
    assert lab.value("str(pay('x')['a/b~c'])") == "⟦t/a~1b~0c⟧"


def test_stubs_without_parameters(lab: Lab) -> None:
    assert lab.value("now()", stubs=(Stub("now"),)) == {}
    assert "no arguments" in lab.error("now(1)", stubs=(Stub("now"),)).message


def test_a_default_reaches_the_handler_as_given(lab: Lab) -> None:
    stub = Stub("mail", (Parameter("to"), Parameter("tags", False, ["a", {"b": None}])))
    lab.step("mail('x')", stubs=(stub,))
    assert lab.calls[0].arguments["tags"] == ["a", {"b": None}]


def test_a_jail_that_can_park_no_more_ends_instead_of_going_on(lab: Lab) -> None:
    for _ in range(20):
        if not lab.jail.alive:
            break
        try:
            result = lab.step(_SWALLOW.format(what="final_answer(1)"))
        except JailClosed:
            break
        if result.status == "jail_killed":
            break
        assert (result.status, result.stdout) == ("final", "")
    else:
        pytest.fail("the jail has more threads than its limit")
    assert lab.calls == []


LINES = """def twice(to):
    for amount in (1, 2):
        pay(to, amount)
pay(
    'Ann',
    amount=3,
)
twice('Bob')
class Desk:
    paid = [pay(name)
            for name in 'C']
"""


def test_a_call_says_from_which_lines_it_comes(lab: Lab) -> None:
    lab.step(LINES)
    first = [call.at[0] for call in lab.calls]
    assert first == [4, 3, 3, 10]
    assert lab.calls[1].at == (3, 8)


def test_of_what_an_earlier_step_left_only_the_call_is_a_line_of_this_one(lab: Lab) -> None:
    lab.step(LINES)
    lab.step("x = 1\ndef deeper(n):\n    return deeper(n - 1) if n else twice('Dan')\ndeeper(40)")
    assert lab.calls[-1].at == (3,) * 16
