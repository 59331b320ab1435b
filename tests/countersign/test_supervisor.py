"""Processes are kept running, ended in order, and never outlive us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from countersign.embedded.children import Process
from countersign.embedded.supervisor import (
    HOPELESS,
    AlreadyRunning,
    Claim,
    Supervisor,
    state_of,
    stop_other,
)
from countersign.home import Home

SLEEP = ("/bin/sleep", "1000")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def supervisor(home: Home) -> Iterator[Supervisor]:
    supervisor = Supervisor(home)
    yield supervisor
    supervisor.stop()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: object, what: str) -> None:
    assert callable(condition)
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(what)


def test_child_that_dies_is_started_again(supervisor: Supervisor) -> None:
    supervisor.add(Process("a", SLEEP))
    first = supervisor.pid("a")
    os.kill(first, signal.SIGKILL)
    assert supervisor.wait_until(lambda: state_of_child(supervisor, "a") not in {None, first}, 20)
    assert not alive(first)


def state_of_child(supervisor: Supervisor, name: str) -> int | None:
    try:
        return supervisor.pid(name)
    except KeyError:
        return None


def test_child_that_cannot_stay_up_ends_the_waiting(supervisor: Supervisor) -> None:
    supervisor.add(Process("broken", ("/bin/false",)))
    started = time.monotonic()
    assert not supervisor.wait_until(lambda: False, timeout_s=600)
    assert time.monotonic() - started < 300
    assert supervisor._failures["broken"] >= HOPELESS


def test_pauses_double_up_to_half_a_minute(supervisor: Supervisor) -> None:
    supervisor.add(Process("a", SLEEP))
    child = supervisor._children["a"]
    pauses = [supervisor._pause(child, child.started + 1) for _ in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_was_healthy_starts_again_at_once(supervisor: Supervisor) -> None:
    supervisor.add(Process("a", SLEEP))
    child = supervisor._children["a"]
    for _ in range(5):
        supervisor._pause(child, child.started + 1)
    assert supervisor._pause(child, child.started + 100) == 0.5


def test_stopping_ends_the_last_one_first(supervisor: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = (
        f"trap 'echo $0 >> {order}; exit 0' TERM; echo up >> {order}; while :; do sleep 0.05; done"
    )
    for name in ("database", "web"):
        supervisor.add(Process(name, ("/bin/sh", "-c", script, name)))
    until(lambda: order.exists() and order.read_text().count("up") == 2, "children never came up")
    supervisor.stop()
    assert order.read_text().split() == ["up", "up", "web", "database"]


def test_child_that_ignores_the_signal_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"
    supervisor.add(Process("deaf", ("/bin/sh", "-c", script), stop_timeout_s=0.3))
    until(ready.exists, "child never came up")
    pid = supervisor.pid("deaf")
    supervisor.stop()
    assert not alive(pid)


def test_output_goes_to_a_log_of_its_own(supervisor: Supervisor, home: Home) -> None:
    supervisor.add(Process("talker", ("/bin/echo", "hello")))
    log = home.path / "log" / "talker.log"
    until(lambda: log.read_text() == "hello\n", "nothing was logged")


def test_second_supervisor_is_refused_and_told_by_whom(home: Home) -> None:
    with Claim(home).held():
        with pytest.raises(AlreadyRunning) as refused, Claim(home).held():
            pass
        assert refused.value.pid == os.getpid()
        assert Claim(home).holder() == os.getpid()
    assert Claim(home).holder() is None


def test_reused_process_id_is_not_taken_for_a_supervisor(home: Home) -> None:
    with Claim(home).held():
        pass
    # The file still names this process, which runs; the lock is what counts.
    assert Claim(home).file.read_text() == str(os.getpid())
    assert not stop_other(home)


SUPERVISE = """
import sys
from pathlib import Path
from countersign.embedded.children import Process
from countersign.embedded.supervisor import Claim, Supervisor
from countersign.home import Home
home = Home(Path(sys.argv[1]))
with Claim(home).held():
    supervisor = Supervisor(home)
    supervisor.listen_to_signals()
    for name in ("one", "two"):
        supervisor.add(Process(name, ("/bin/sleep", "1000")))
    supervisor.run()
"""


@pytest.fixture
def running(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(home.path)])
    try:
        until(lambda: len(state_of(home)) == 2, "supervisor never came up")
        yield process
    finally:
        process.kill()
        process.wait()


def test_children_die_with_a_supervisor_that_is_killed(
    running: "subprocess.Popen[bytes]", home: Home
) -> None:
    children = state_of(home).values()
    running.kill()
    running.wait()
    until(lambda: not any(map(alive, children)), "children outlived their supervisor")
    assert Claim(home).holder() is None


def test_down_stops_it_from_another_process(running: "subprocess.Popen[bytes]", home: Home) -> None:
    children = state_of(home).values()
    assert stop_other(home)
    assert running.wait(10) == 0
    assert not any(map(alive, children))
    assert state_of(home) == {}
