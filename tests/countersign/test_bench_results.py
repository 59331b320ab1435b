"""The file that `make bench` leaves behind."""

import json
from pathlib import Path

from tests.benchmarks.result import Result, save, table

FAST = Result("jail start", 2.5, "ms", 3.0, "lower")
SLOW = Result("entries", 900.0, "per s", 1000.0, "higher")
WATCHED = Result("size", 12345.6, "bytes", None, "lower")


def test_a_goal_reached_exactly_is_met() -> None:
    assert Result("a", 3.0, "ms", 3.0, "lower").met
    assert Result("a", 3.0, "ms", 3.0, "higher").met


def test_file_holds_value_unit_goal_and_whether_it_is_met(tmp_path: Path) -> None:
    file = tmp_path / ".bench" / "results.json"
    save([FAST, SLOW, WATCHED], file)
    assert json.loads(file.read_text()) == {
        "jail start": {"value": 2.5, "unit": "ms", "goal": 3.0, "met": True},
        "entries": {"value": 900.0, "unit": "per s", "goal": 1000.0, "met": False},
        "size": {"value": 12345.6, "unit": "bytes", "goal": None, "met": None},
    }


def test_later_results_join_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / ".bench" / "results.json"
    save([FAST], file)
    save([SLOW], file)
    assert json.loads(file.read_text()).keys() == {"jail start", "entries"}


def test_table_says_which_goal_is_missed() -> None:
    lines = table([FAST, SLOW, WATCHED]).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["met", "MISSED", "bytes"]
