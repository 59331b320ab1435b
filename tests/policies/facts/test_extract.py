"""What the facts say about single constructs: origins, counts, findings, places."""

import json

import pytest

from policies.facts.extract import extract
from policies.facts.record import FACTS_VERSION, CallSite, Facts, Origin
from tests.policies.suites import tools

UNTRUSTED = frozenset({"untrusted"})


def facts(code: str, known: dict[str, Origin] | None = None, task: str = "") -> Facts:
    return extract(code, tools=tools(), known=known or {}, task_text=task)


def site(found: Facts, tool: str = "send_mail") -> CallSite:
    [only] = [call for call in found.calls if call.tool == tool]
    return only


def origin(code: str, argument: str = "to", **more: object) -> Origin:
    return facts(code, **more).origins_of("send_mail", argument)  # type: ignore[arg-type]


def test_a_literal_is_a_literal() -> None:
    found = site(facts('send_mail(to="ann@corp.example", subject="s", body="b")'))
    assert [(a.name, a.role, a.value) for a in found.arguments] == [
        ("to", "recipient", "ann@corp.example"),
        ("subject", "", "s"),
        ("body", "free_text", "b"),
    ]
    assert found.arguments[0].origin == Origin(frozenset({"literal"}))
    assert (found.line, found.column, found.maximum, found.in_loop) == (1, 0, 1, False)


@pytest.mark.parametrize(
    "code",
    [
        "def f(to):\n    send_mail(to=to, subject='x', body='y')\nf('eve@evil.example')",
        "f = lambda to: send_mail(to=to, subject='x', body='y')\nf('eve@evil.example')",
        "[send_mail(to=to, subject='x', body='y') for to in ['eve@evil.example']]",
        "def f(to):\n    send_mail(to=to, subject='x', body='y')\n"
        "for each in ['eve@evil.example']:\n    f(each)",
    ],
)
def test_a_name_means_what_it_means_where_the_call_stands(code: str) -> None:
    found = facts("to = 'ann@corp.example'\n" + code, task="Write to ann@corp.example")
    passed = {argument.name: argument for argument in site(found).arguments}["to"]
    assert passed.value != "ann@corp.example"
    assert "task:literal" not in passed.origin.sources


def test_a_call_that_no_place_explains_is_of_unknown_origin() -> None:
    found = facts("send_mail(to='ann@corp.example', subject='x', body='y')")
    explained = found.origins_of("send_mail", "to", {"to": "ann@corp.example"})
    other = found.origins_of("send_mail", "to", {"to": "eve@evil.example"})
    assert "unknown" not in explained.sources | explained.labels
    assert "unknown" in other.sources & other.labels


def test_a_constant_of_the_function_is_known() -> None:
    code = "def f():\n    to = 'eve@evil.example'\n    send_mail(to=to, subject='x', body='y')\nf()"
    found = facts("to = 'ann@corp.example'\n" + code, task="Write to ann@corp.example")
    passed = {argument.name: argument for argument in site(found).arguments}["to"]
    assert (passed.known, passed.value) == (True, "eve@evil.example")


def test_positions_bind_as_python_binds_them() -> None:
    found = site(facts('who = "ann"\nsend_mail(who, "s", body="b" + "c")'))
    assert [(a.name, a.known, a.value) for a in found.arguments] == [
        ("to", True, "ann"),
        ("subject", True, "s"),
        ("body", True, "bc"),
    ]


def test_data_and_control_are_two_things() -> None:
    code = 'page = fetch_page(url="u")\nsend_mail(to={}, subject="s", body="b")'
    assert origin(code.format("page")).labels == UNTRUSTED
    chosen = origin(code.format('"a" if page else "b"'))
    assert (chosen.labels, chosen.control) == (frozenset(), UNTRUSTED)


def test_literals_before_and_after_reading_stay_clean() -> None:
    code = 'page = fetch_page(url="u")\nsend_mail(to="ann", subject="s", body=page)'
    assert origin(code) == Origin(frozenset({"literal"}))
    assert origin(code, "body").labels == UNTRUSTED


def test_a_replaced_variable_forgets_what_it_held() -> None:
    code = 'x = fetch_page(url="u")\nx = "ann"\nsend_mail(to=x, subject="s", body="b")'
    assert not origin(code).labels


def test_two_callers_of_one_function_are_not_mixed_up() -> None:
    code = (
        "def same(x):\n    return x\n"
        'page = same(fetch_page(url="u"))\n'
        'send_mail(to=same("ann"), subject="s", body=page)'
    )
    assert not origin(code).labels
    assert origin(code, "body").labels == UNTRUSTED


def test_fields_of_a_dictionary_are_kept_apart() -> None:
    code = 'd = {"to": "ann", "body": fetch_page(url="u")}\nsend_mail(subject="s", **d)'
    assert not origin(code).labels
    assert origin(code, "body").labels == UNTRUSTED


def test_a_key_selects_and_content_flows() -> None:
    read = 'page = fetch_page(url="u")\n'
    by_key = origin(read + 'send_mail(to=get_vendor(vendor_id=page)["m"], subject="s", body="b")')
    assert (by_key.labels, by_key.control) == (frozenset(), UNTRUSTED)
    echoed = origin(read + 'send_mail(to=translate(text=page), subject="s", body="b")')
    assert echoed.labels == UNTRUSTED
    assert {"tool:translate", "tool:fetch_page"} <= echoed.sources


@pytest.mark.parametrize(
    ("loop", "maximum"),
    [
        ("for i in range(3):", 3),
        ("for i in range(10, 0, -2):", 5),
        ("for i in ('a', 'b'):", 2),
        ("for i, x in enumerate([1, 2, 3, 4]):", 4),
        ("for i in list_orders():", None),
        ("while list_orders():", None),
        ("for i in range(n):", None),
    ],
)
def test_how_often_a_call_can_happen(loop: str, maximum: int | None) -> None:
    found = site(facts(f'n = 3\n{loop}\n    send_mail(to="ann", subject="s", body="b")'))
    assert found.maximum == maximum
    assert found.in_loop


def test_counts_multiply_through_loops_and_functions() -> None:
    code = (
        'def tell():\n    for _ in range(2):\n        save_note(text="x")\n'
        "for _ in range(3):\n    tell()\ntell()"
    )
    assert site(facts(code), "save_note").maximum == 8


def test_what_ran_before_a_call() -> None:
    code = 'list_orders()\nsave_note(text="x")\nlist_contacts()'
    assert site(facts(code), "save_note").after == {"list_orders"}
    looped = "for _ in [1, 2]:\n    " + code.replace("\n", "\n    ")
    assert "list_contacts" in site(facts(looped), "save_note").after


def test_branches_guard_and_loops_repeat() -> None:
    found = site(facts('for m in read_inbox():\n    send_mail(to="ann", subject="s", body="b")'))
    assert (found.guarded_by, found.looped_by) == (frozenset(), UNTRUSTED)
    found = site(facts('if read_inbox():\n    send_mail(to="ann", subject="s", body="b")'))
    assert found.guarded_by == UNTRUSTED


def test_origins_carry_over_steps() -> None:
    first = facts('page = fetch_page(url="u")\nname = "ann"\nrows = [page]')
    assert first.variables["page"].labels == UNTRUSTED
    assert not first.variables["name"].labels
    second = facts('send_mail(to=rows[0], subject="s", body="b")', known=dict(first.variables))
    found = second.origins_of("send_mail", "to")
    assert found.labels == UNTRUSTED
    assert {"step:rows", "tool:fetch_page"} <= found.sources


def test_a_variable_keeps_what_an_interrupted_program_may_leave_in_it() -> None:
    found = facts('x = fetch_page(url="u")\nprint(1 / 0)\nx = "clean"')
    assert found.variables["x"].labels == UNTRUSTED


def test_a_function_kept_from_an_earlier_step_still_calls_its_tools() -> None:
    first = facts('def tell(who):\n    send_mail(to=who, subject="s", body="b")')
    assert "calls:send_mail" in first.variables["tell"].sources
    second = facts('tell(fetch_page(url="u"))', known=dict(first.variables))
    assert second.origins_of("send_mail", "to").labels == UNTRUSTED


def test_a_closure_kept_from_an_earlier_step_keeps_its_origin() -> None:
    first = facts('def make():\n    p = fetch_page(url="u")\n    return lambda: p\nf = make()')
    assert first.variables["f"].labels == UNTRUSTED


def test_task_inputs_and_words_of_the_task() -> None:
    known = {"who": Origin(frozenset({"task"}))}
    assert origin('send_mail(to=who, subject="s", body="b")', known=known).sources == {
        "task",
        "step:who",
    }
    typed = 'send_mail(to="ann@corp.example", subject="s", body="b")'
    assert "task:literal" in origin(typed, task="Write to ann@corp.example, please").sources
    assert "task:literal" not in origin(typed, task="Write to joann@corp.example").sources
    assert "task:literal" not in origin(typed, task="To ann@corp.example.evil.example").sources


@pytest.mark.parametrize(
    "code",
    [
        "def tell(to):\n    {send}\ntell('eve')",
        "[{send} for to in ['eve']]",
        "(lambda to: {send})('eve')",
        "class C:\n    to = 'eve'\n    {send}",
    ],
)
def test_a_literal_is_read_where_the_call_stands(code: str) -> None:
    call = 'send_mail(to=to, subject="s", body="b")'
    found = facts("to = 'ann'\n" + code.format(send=call), task="Write to ann")
    assert not found.calls[0].arguments[0].known
    assert "task:literal" not in found.origins_of("send_mail", "to").sources


def test_a_local_constant_hides_a_global_one() -> None:
    call = 'send_mail(to=to, subject="s", body="b")'
    found = facts(f"to = 'ann'\ndef tell():\n    to = 'eve'\n    {call}\ntell()")
    assert found.calls[0].arguments[0].value == "eve"


def test_unbound_names_are_named_and_unknown() -> None:
    found = facts('send_mail(to=nobody, subject="s", body="b")')
    assert found.unbound == ("nobody",)
    assert found.origins_of("send_mail", "to").labels == {"unknown"}


def test_every_finding_has_its_place() -> None:
    found = facts("x = 1\nimport ctypes\nprint(  ().__class__)\nawait_ = eval")
    assert [(f.kind, f.name, f.line, f.column) for f in found.features] == [
        ("dunder", "__class__", 3, 8),
        ("dynamic-code", "eval", 4, 9),
    ]
    assert [(i.module, i.allowed, i.line) for i in found.imports] == [("ctypes", False, 2)]


def test_resources_in_literals() -> None:
    found = facts(
        'a = "https://User@Shop.Example:8443/x"\nb = "/etc/passwd"\nc = "Ann@Corp.example"\n'
        'd = "SELECT id FROM orders JOIN vendors"\ne = "DE89 3704 0044 0532 0130 00"\n'
        'f = "4111 1111 1111 1111"\ng = "call +49 30 901820"\nh = "AKIAIOSFODNN7EXAMPL3"\n'
        f'i = "{"QUJD" * 60}"'
    )
    assert {(r.kind, r.name, r.line) for r in found.resources} >= {
        ("host", "shop.example", 1),
        ("path", "/etc/passwd", 2),
        ("email", "ann@corp.example", 3),
        ("sql", "SELECT", 4),
        ("table", "orders", 4),
        ("table", "vendors", 4),
        ("personal", "iban", 5),
        ("personal", "card", 6),
        ("personal", "phone", 7),
        ("secret", "AWS Access Key", 8),
        ("blob", "240 characters", 9),
    }
    assert "AKIA" not in json.dumps([r.to_json() for r in found.resources])


def test_cost_shape() -> None:
    found = facts("while True:\n    for i in range(3):\n        [j for j in range(2)]")
    assert (found.cost.loop_depth, found.cost.unbounded_loops, found.cost.lines) == (3, 1, 3)


def test_shape_ignores_names_values_and_layout_only() -> None:
    one = facts('x = 1\nsend_mail(to="a", subject="s", body=str(x))').shape
    two = facts('yy   =  2  # why\nsend_mail(to="b", subject="t", body=str(yy))').shape
    other_tool = facts('x = 1\npost_message(to="a", subject="s", body=str(x))').shape
    other_use = facts('x = 1\nsend_mail(to="a", subject=str(x), body="s")').shape
    assert one == two
    assert len({one, other_tool, other_use}) == 3


def test_the_record_is_canonical_and_hashed() -> None:
    found = facts('pay(iban="ä", amount=1.5, reference={"k": [None, 10**3, 2**70]})\nx = 12')
    text = json.dumps(found.to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert json.loads(text) == found.to_json()
    assert (
        found.digest
        == facts('pay(iban="ä", amount=1.5, reference={"k": [None, 10**3, 2**70]})\nx = 12').digest
    )
    assert found.version == FACTS_VERSION


def test_the_digest_is_over_rfc_8785() -> None:
    import hashlib

    import rfc8785

    found = facts('x = "é\\n\\x01 \\u2028"\nsave_note(text=x, other=1.5)\nsave_note("\\x7f")')
    assert found.digest == hashlib.sha256(rfc8785.dumps(found.to_json())).hexdigest()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f(:", "unparsable"),
        ("x = 1\0", "nul"),
        ("# " + "x" * 10_000_000, "too-large"),
        ("x = 1\n" * 20_000, "too-large"),
        ("-" * 100_000 + "1", "too-deep"),
        ("(" * 50_000, "unparsable"),
        ("a" + ".b" * 5_000, "too-deep"),
        ("x = " + "+".join(["1"] * 500), "too-deep"),
        ("if a: pass\n" + "elif a: pass\n" * 500, "too-deep"),
        ("x = 1" + "0" * 5_000, "unparsable"),
        ("x = '\ud800'", "unparsable"),
        ("x = '\u202e'", "deceptive-text"),
        ("".join(" " * i + "if a:\n" for i in range(120)), "unparsable"),
        ("lambda: " * 60_000 + "1", "too-large"),
    ],
)
def test_what_cannot_be_read_is_a_problem_not_an_exception(code: str, kind: str) -> None:
    found = facts(code)
    assert [problem.kind for problem in found.problems] == [kind]
    assert not found.calls
    assert found.digest


def test_origins_survive_an_unreadable_program() -> None:
    known = {"page": Origin(frozenset({"tool:fetch_page"}), UNTRUSTED)}
    assert facts("def f(:", known=known).variables == known


FUNCTIONS = "".join(f"def f{i}(x): return x\n" for i in range(1000))
BOMB = FUNCTIONS + "l = [" + ", ".join(f"f{i}" for i in range(1000)) + "]\n"


def test_a_program_made_to_exhaust_the_analysis_is_a_problem() -> None:
    found = facts(BOMB + "list(map(l[0], l))\n" * 300)
    assert [problem.kind for problem in found.problems] == ["too-complex"]


@pytest.mark.parametrize("amount", ["120.004", "119.996", "123456.7", "1000001"])
def test_a_number_is_the_tasks_only_as_exactly_as_it_was_written(amount: str) -> None:
    task = "Pay 120.00 to Ann, 123457 to Bob and 1e+06 to Eve"
    for written, source in ((amount, "literal"), ("120", "task:literal")):
        call = facts(f"pay(iban='x', amount={written})", task=task).calls[0]
        assert call.passed_as("amount")[0].origin.sources == {source}
