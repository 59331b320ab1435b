"""Bad programs end within their limit, with an error that says which, and harm nobody else."""

from dataclasses import replace

import pytest

from agents.sandbox.contract import JailLimits, StepStatus
from agents.sandbox.errors import JailClosed
from tests.agents.sandbox.lab import TIGHT, Lab

BOMBS = [
    ("while True: pass", StepStatus.LIMIT_TIME),
    (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        StepStatus.LIMIT_TIME,
    ),
    ("10 ** 10 ** 8", StepStatus.LIMIT_TIME),
    ("sum(iter(int, 1))", StepStatus.LIMIT_TIME),
    ("import re\nre.match('(a+)+b', 'a' * 40)", StepStatus.LIMIT_TIME),
    (
        "import threading\nthreading.Lock().acquire() and threading.Event().wait()",
        StepStatus.LIMIT_TIME,
    ),
    ("x = bytearray(1 << 30)", StepStatus.LIMIT_MEMORY),
    ("x = []\nwhile True: x.append('x' * 1_000_000)", StepStatus.LIMIT_MEMORY),
    ("x = 'a' * (1 << 40)", StepStatus.LIMIT_MEMORY),
    ("while True: print('x' * 1000)", StepStatus.LIMIT_OUTPUT),
    ("print('x' * 100_000_000 if False else 'x' * 10_000_000)", StepStatus.LIMIT_OUTPUT),
    ("import sys\nwhile True: sys.stderr.write('é')", StepStatus.LIMIT_OUTPUT),
    ("import os\nos._exit(0)", StepStatus.JAIL_KILLED),
    ("import ctypes\nctypes.string_at(0)", StepStatus.JAIL_KILLED),
    ("import os\nos.abort()", StepStatus.JAIL_KILLED),
    ("import os\nos.closerange(3, 64)", StepStatus.JAIL_KILLED),
]


@pytest.mark.parametrize(("code", "status"), BOMBS)
def test_each_limit_has_its_own_word(lab: Lab, code: str, status: StepStatus) -> None:
    result = lab.step(f"print('started')\n{code}")
    assert result.status is status, result
    assert result.error is not None
    assert result.error.type == status.value
    assert result.error.message.endswith(".")
    assert not lab.jail.alive
    with pytest.raises(JailClosed):
        lab.step("1")


def test_output_up_to_the_limit_is_kept() -> None:
    lab = Lab(replace(TIGHT, output_bytes=1000))
    result = lab.step("for i in range(10_000): print('é' * 50)")
    assert result.status is StepStatus.LIMIT_OUTPUT
    assert 900 < len(result.stdout.encode()) <= 1000
    assert result.stdout_bytes > 1000
    lab.close()


def test_output_at_the_limit_is_no_offence(lab: Lab) -> None:
    result = lab.step(f"print('x' * {TIGHT.output_bytes - 1})")
    assert (result.status, result.stdout_bytes) == ("completed", TIGHT.output_bytes)


def test_output_too_much_counts_before_anything_else_happens(lab: Lab) -> None:
    result = lab.step("print('x' * 100_000)\npay('x')")
    assert result.status is StepStatus.LIMIT_OUTPUT
    assert lab.calls == []


def test_output_printed_before_a_limit_is_shown() -> None:
    lab = Lab(replace(TIGHT, wall_s=0.3))
    result = lab.step("for i in range(2000): print('line', i)\nwhile True: pass")
    assert result.status is StepStatus.LIMIT_TIME
    assert "line 500" in result.stdout
    lab.close()


def test_a_program_may_recover_from_lack_of_memory(lab: Lab) -> None:
    assert (
        lab.value("try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    'less'\nx = 'went on'")
        == "went on"
    )


def test_lack_of_memory_names_the_line(lab: Lab) -> None:
    error = lab.error("x = 1\ny = bytearray(1 << 30)")
    assert (error.type, error.line, error.source_line) == (
        "limit_memory",
        2,
        "y = bytearray(1 << 30)",
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os\nwhile True: os.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['/py/bin/python3'])", "PermissionError"),
        (
            "import multiprocessing\nmultiprocessing.Process(target=print).start()",
            "PermissionError",
        ),
        (
            "from threading import Event, Thread\n"
            "while True: Thread(target=Event().wait, daemon=True).start()",
            "RuntimeError",
        ),
        ("def f(): f()\nf()", "RecursionError"),
        ("with open('full', 'wb') as f:\n    while True: f.write(b'x' * 65536)", "OSError"),
        ("open('/etc/passwd')", "FileNotFoundError"),
        ("open('/py/x', 'w')", "OSError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 80))", "PermissionError"),
    ],
)
def test_what_is_forbidden_is_an_ordinary_error_and_the_jail_lives_on(
    steady: Lab, code: str, error: str
) -> None:
    result = steady.step(code)
    assert result.status == "error"
    assert result.error is not None
    assert result.error.type == error
    assert steady.value("'alive'") == "alive"


def test_processor_time_is_limited_over_all_threads() -> None:
    lab = Lab(replace(TIGHT, wall_s=20.0, cpu_s=1))
    result = lab.step(
        "import hashlib, threading\ndata = b'x' * 10_000_000\n"
        "def work():\n    while True: hashlib.sha256(data).digest()\n"
        "for _ in range(3): threading.Thread(target=work).start()\nwork()"
    )
    assert result.status is StepStatus.LIMIT_TIME
    assert result.error is not None
    assert "processor time" in result.error.message
    assert result.cpu_ms >= 1000
    lab.close()


def test_a_jail_that_only_computes_can_be_killed_from_another_thread() -> None:
    import threading

    lab = Lab(replace(TIGHT, wall_s=30.0))
    timer = threading.Timer(0.2, lab.jail.kill, ["the run was stopped by Carol"])
    timer.start()
    result = lab.step("while True: pass")
    assert result.status is StepStatus.JAIL_KILLED
    assert result.error is not None
    assert "stopped by Carol" in result.error.message
    assert result.wall_ms < 5_000
    lab.close()


def test_closing_twice_and_from_two_threads_is_fine(lab: Lab) -> None:
    import threading

    threads = [threading.Thread(target=lab.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not lab.jail.alive


@pytest.mark.parametrize("name", JailLimits.__dataclass_fields__)
def test_zero_does_not_mean_unlimited(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=name):
            JailLimits(**{name: value})


def test_an_idle_jail_ends_with_its_lifetime() -> None:
    import time

    from agents.sandbox.session import Jail
    from tests.agents.sandbox.lab import host

    setup, runtime = host()
    with Jail(replace(setup, lifetime_s=1), runtime, TIGHT) as jail:
        deadline = time.monotonic() + 10
        while jail.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not jail.alive
