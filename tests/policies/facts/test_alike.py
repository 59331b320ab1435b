"""Which values differ between two programs of one shape."""

from policies.facts.alike import Changed, changed_values


def test_values_that_differ_are_told_by_line_in_order() -> None:
    before = "a = 1\npay(to='x', cents=[5, 6])\n"
    now = "b = 1\n\npay(to='y', cents=[5, 7])\n"
    assert changed_values(before, now) == (Changed(3, "'x'", "'y'"), Changed(3, "6", "7"))


def test_names_comments_and_layout_are_no_values() -> None:
    assert changed_values("a = 'x'", "b  =  'x'  # same\n") == ()


def test_programs_of_another_shape_are_not_paired() -> None:
    assert changed_values("a = 1", "a = 1 + 2") is None
    assert changed_values("a = 1", "a = '1'") is None
    assert changed_values("a = 1", "a = (") is None


def test_equal_numbers_of_another_kind_differ() -> None:
    assert changed_values("a = 1", "a = True") is None


def test_characters_that_do_not_show_are_escaped() -> None:
    [changed] = changed_values("a = 'ab'", "a = 'a\u200bb'") or ()
    assert changed.now == "'a\\u200bb'"


def test_texts_that_look_the_same_are_told_apart() -> None:
    [changed] = changed_values("to = 'alice'", "to = 'al\u0456ce'") or ()
    assert (changed.before, changed.now) == ("'alice'", "'al\\u0456ce'")


def test_huge_numbers_and_deep_trees_cost_little() -> None:
    deep = "a = " + "-" * 150 + "1"
    assert changed_values(deep, deep) == ()
    [changed] = changed_values("a = 1", f"a = 0x{'f' * 9000}") or ()
    assert changed.now.startswith("0xfff")
