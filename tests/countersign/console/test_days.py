"""The last two weeks as bars: what is counted, on which day, and how high it stands."""

from datetime import UTC, date, datetime, timedelta

from agents.models import Run
from agents.selectors.spend import DaySpend, spend_by_day
from audit.transactions import in_workspace
from countersign.console import days
from policies.models import DecisionRecord
from policies.tally import decisions_by_day
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.world import World

TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(days=1)


def test_the_highest_day_fills_the_drawing_and_a_single_one_can_be_seen() -> None:
    chart = days.decisions({(YESTERDAY, "allow"): 900, (TODAY, "deny"): 1}, TODAY)
    full, least = chart.bars
    assert (full.height, full.y, full.text) == (days.HEIGHT, 0, "21 Nov: 900")
    assert (least.height, least.tone) == (days.LEAST, "deny")
    assert least.x == chart.width - chart.bar_width
    assert [total.text for total in chart.totals] == [
        "900 allowed",
        "0 asked for signatures",
        "1 refused",
    ]
    assert chart.rows == ((TODAY, ("0", "0", "1")), (YESTERDAY, ("900", "0", "0")))


def test_parts_of_a_day_stand_on_each_other() -> None:
    chart = days.decisions({(TODAY, "allow"): 2, (TODAY, "review"): 1, (TODAY, "deny"): 1}, TODAY)
    assert [(bar.y, bar.height) for bar in chart.bars] == [(30, 30), (15, 15), (0, 15)]


def test_no_day_is_drawn_before_anything_happened() -> None:
    assert days.decisions({}, TODAY).bars == ()
    assert days.spend((), TODAY).bars == ()


def test_what_was_spent_is_never_added_across_currencies() -> None:
    rows = (
        DaySpend(TODAY, "EUR", runs=2, tokens=10, cost_micros=3_000_000),
        DaySpend(TODAY, "USD", runs=1, tokens=5, cost_micros=1_000_000),
    )
    chart = days.spend(rows, TODAY)
    assert [total.text for total in chart.totals] == ["3.00 EUR"]


def test_tokens_stand_in_where_no_model_has_a_price() -> None:
    chart = days.spend((DaySpend(TODAY, "USD", runs=1, tokens=1234, cost_micros=0),), TODAY)
    assert chart.totals[0].text == "1,234 tokens"


def test_the_rows_are_those_of_the_workspace(world: World, log_in: LogIn) -> None:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    counted = decisions_by_day(world.cast.acme.id, first)
    spent = spend_by_day(world.cast.acme.id, first)
    with in_workspace(world.cast.acme.id):
        assert sum(counted.values()) == DecisionRecord.objects.count() > 0
        assert sum(row.runs for row in spent) == Run.objects.count() > 0
    assert decisions_by_day(world.cast.other.id, first) == {}
    assert spend_by_day(world.cast.other.id, first) == ()
    page = log_in("alice").get("/w/acme/").content.decode()
    assert "Decisions of the policy" in page
    assert "Waiting for you" not in page, "she signs nothing"
    assert "Waiting for you" in log_in("bob").get("/w/acme/").content.decode()
