"""The same program with the same tool results gives the same state again."""

import pytest

from tests.agents.sandbox.lab import NOON, Lab

EVERY_SOURCE = """
import datetime, os, random, secrets, tempfile, time, uuid
print(time.time(), time.monotonic(), time.perf_counter(), time.strftime('%H:%M'), time.ctime())
print(datetime.datetime.now(), datetime.datetime.now(datetime.timezone.utc), datetime.date.today())
print(random.random(), random.Random().random(), random.SystemRandom().random(), os.urandom(4))
print(uuid.uuid4(), uuid.uuid1(), secrets.token_hex(), tempfile.mktemp(), hash('text'))
print(list({'a', 'b', 'c', 'd'}), {object for _ in range(3)})
print([random.randint(0, 9) for _ in range(9)])
class Item: pass
print([items.index(item) for items in [[Item() for _ in range(50)]] for item in set(items)])
"""


def test_two_jails_give_the_same_output() -> None:
    first, second = Lab(), Lab()
    try:
        for lab in (first, second):
            lab.step("import json\nrows = [json.loads('1')]")
        one, two = first.step(EVERY_SOURCE), second.step(EVERY_SOURCE)
        assert one.status == "completed", one.error
        assert one.stdout == two.stdout
        assert one.stdout_sha256 == two.stdout_sha256
    finally:
        first.close()
        second.close()


def test_another_seed_gives_other_numbers(lab: Lab) -> None:
    code = "import random, uuid\n[random.random(), str(uuid.uuid4())]"
    first = lab.value(code, seed="a")
    second = lab.value(code, seed="b")
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert lab.value(code, seed="a") == first


def test_one_seed_goes_on_from_step_to_step(lab: Lab) -> None:
    assert lab.value("import random\nrandom.random()") != lab.value("random.random()")


def test_a_seed_of_the_programs_own_works_as_in_python(lab: Lab) -> None:
    assert lab.value("import random\nrandom.seed(42)\nrandom.random()") == 0.6394267984578837


def test_the_clock_stands_at_the_step_time(lab: Lab) -> None:
    code = "import datetime\nstr(datetime.datetime.now(datetime.timezone.utc))"
    assert lab.value(code) == "2026-11-22 12:00:00+00:00"
    assert lab.value(code, time_us=NOON + 60_000_000) == "2026-11-22 12:01:00+00:00"


def test_sleeping_takes_no_time_but_advances_the_clock(lab: Lab) -> None:
    code = "import time\nbefore = time.time()\ntime.sleep(3600)\nround(time.time() - before)"
    result = lab.step(code)
    assert result.value == 3600
    assert result.wall_ms < 1000


def test_the_clock_never_runs_backwards(lab: Lab) -> None:
    lab.step("import time\ntime.sleep(3600)\nlast = time.time()")
    assert lab.value("time.time() > last", time_us=NOON + 1_000_000) is True


def test_waiting_in_loops_for_a_deadline_ends(lab: Lab) -> None:
    code = "import time\nend = time.monotonic() + 0.1\nwhile time.monotonic() < end: pass"
    assert lab.step(code).status == "completed"
    code = "import queue\ntry: queue.Queue().get(timeout=0.05)\nexcept queue.Empty: 'empty'\n'done'"
    assert lab.value(code) == "done"


def test_event_loops_run_without_sockets_and_without_waiting(lab: Lab) -> None:
    code = (
        "import asyncio\nasync def one(n):\n    await asyncio.sleep(n)\n    return n\n"
        "async def main():\n"
        "    return await asyncio.gather(one(100), one(50), asyncio.to_thread(lambda: 7))\n"
        "asyncio.run(main())"
    )
    assert lab.value(code) == [100, 50, 7]


@pytest.mark.parametrize(
    "expression",
    [
        "isinstance(datetime.now(), datetime)",
        "isinstance(datetime.now(), date)",
        "isinstance(datetime.now().date(), date)",
        "not isinstance(date.today(), datetime)",
        "issubclass(datetime, date)",
        "isinstance(datetime.strptime('2026-01-02', '%Y-%m-%d'), datetime)",
        "isinstance(datetime.fromisoformat('2026-01-02') + timedelta(1), datetime)",
        "(datetime(2026, 1, 2) - datetime(2026, 1, 1)).days == 1",
        "repr(datetime(2026, 1, 2)) == 'datetime.datetime(2026, 1, 2, 0, 0)'",
        "repr(date(2026, 1, 2)) == 'datetime.date(2026, 1, 2)'",
        "datetime.max > datetime.now()",
        "copy.deepcopy(datetime.now()).year == 2026",
        "sorted([date(2026, 2, 1), date(2026, 1, 1)])[0] == date(2026, 1, 1)",
        "f'{datetime.now():%d.%m.%Y}' == '22.11.2026'",
        "datetime.now(ZoneInfo('Europe/Berlin')).hour == 13",
        "{date(2026, 1, 1): 1}[datetime(2026, 1, 1).date()] == 1",
        "type(datetime.now()) is datetime",
        "date.today() == datetime.now().date() == datetime.today().date()",
        "datetime.utcnow().tzinfo is None and datetime.utcnow().hour == 12",
        "datetime.now(tz=UTC).tzinfo is UTC",
    ],
)
def test_dates_behave_as_in_python(steady: Lab, expression: str) -> None:
    setup = (
        "import copy\nfrom datetime import UTC, date, datetime, timedelta\n"
        "from zoneinfo import ZoneInfo\n"
    )
    assert steady.value(setup + expression) is True


def test_dates_can_be_subclassed_and_pickled(lab: Lab) -> None:
    code = (
        "import pickle\nfrom datetime import datetime\nclass Due(datetime): pass\n"
        "due = Due.now()\n[type(due).__name__, isinstance(datetime.now(), Due),"
        " pickle.loads(pickle.dumps(datetime(2026, 1, 1))) == datetime(2026, 1, 1)]"
    )
    assert lab.value(code) == ["Due", False, True]
