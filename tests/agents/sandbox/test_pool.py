"""Jails are ready before they are needed, used once, and never outlive their worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agents.sandbox import cgroups, check, reaper, spawner
from agents.sandbox.errors import RuntimeBuildError, SandboxError, SandboxUnavailable
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import named_runtime, stdlib_runtime, verify
from tests.agents.sandbox.lab import TIGHT, host

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(host()[0], size=2)
    try:
        yield made
    finally:
        made.close()


def eventually(what: object, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_a_pooled_jail_has_run_nothing_and_comes_once(pool: Pool) -> None:
    runtime = host()[1]
    assert pool.warm(runtime, TIGHT)
    first, second = pool.acquire(runtime, TIGHT), pool.acquire(runtime, TIGHT)
    assert first.guest_pid != second.guest_pid
    check.run(first, "secret = 1")
    assert check.run(second, "'secret' in globals()").value is False
    first.close()
    third = pool.acquire(runtime, TIGHT)
    assert third.guest_pid not in {first.guest_pid, second.guest_pid}
    for jail in (second, third):
        jail.close()


def test_limits_that_the_host_watches_are_those_asked_for(pool: Pool) -> None:
    runtime = host()[1]
    assert pool.warm(runtime, TIGHT)
    with pool.acquire(runtime, replace(TIGHT, output_bytes=10)) as jail:
        assert check.run(jail, "print('x' * 100)").status == "limit_output"


def test_another_memory_limit_is_another_jail(pool: Pool) -> None:
    runtime = host()[1]
    assert pool.warm(runtime, TIGHT)
    with pool.acquire(runtime, replace(TIGHT, memory_bytes=64 << 20)) as jail:
        assert check.run(jail, "bytearray(70 << 20)").status == "limit_memory"


def test_a_dead_jail_is_not_handed_out(pool: Pool) -> None:
    runtime = host()[1]
    assert pool.warm(runtime, TIGHT)
    for pid in reaper.jails_of(spawner.owner_mark(os.getpid())):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not reaper.jails_of(spawner.owner_mark(os.getpid())))
    with pool.acquire(runtime, TIGHT) as jail:
        assert check.run(jail, "1").value == 1


def test_a_new_configuration_drains_the_pool(pool: Pool) -> None:
    setup, runtime = host()
    assert pool.warm(runtime, TIGHT)
    before = set(reaper.jails_of(spawner.owner_mark(os.getpid())))
    pool.reconfigure(replace(setup, lifetime_s=60))
    assert eventually(lambda: not before & set(reaper.jails_of(spawner.owner_mark(os.getpid()))))


def test_a_closed_pool_leaves_nothing(pool: Pool) -> None:
    runtime = host()[1]
    assert pool.warm(runtime, TIGHT)
    pool.close()
    assert eventually(lambda: not reaper.jails_of(spawner.owner_mark(os.getpid())))
    with pytest.raises(SandboxError):
        pool.acquire(runtime, TIGHT)


def test_a_host_that_cannot_start_jails_says_so() -> None:
    setup, runtime = host()
    pool = Pool(replace(setup, nsjail=Path("/bin/false")))
    with pytest.raises(SandboxUnavailable):
        pool.acquire(runtime, TIGHT)
    pool.close()


def test_a_missing_runtime_names_the_command() -> None:
    with pytest.raises(RuntimeBuildError, match="runtime_build nothing"):
        named_runtime("nothing", host()[0].home)


def test_a_runtime_is_built_once_and_is_what_its_name_says() -> None:
    setup, runtime = host()
    assert stdlib_runtime(setup.home) == runtime
    assert runtime.root.name in str(runtime.root)
    assert verify(runtime)


# --- the worker dies ------------------------------------------------------------------------

WORKER = """
import sys
from agents.sandbox import check
from agents.sandbox.pool import Pool
from tests.agents.sandbox.lab import TIGHT, host
from dataclasses import replace
setup, runtime = host()
limits = replace(TIGHT, wall_s=60.0, cpu_s=60)
pool = Pool(setup, size=2)
pool.warm(runtime, limits)
jail = pool.acquire(runtime, limits)
print(jail.guest_pid, flush=True)
check.run(jail, "while True:\\n try:\\n  while True: pass\\n except BaseException: pass")
"""


def start_worker() -> tuple[subprocess.Popen[str], int]:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    return worker, int(worker.stdout.readline())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_jail_outlives_its_worker(end: signal.Signals) -> None:
    worker, guest = start_worker()
    mark = spawner.owner_mark(worker.pid)
    jails = reaper.jails_of(mark)
    assert len(jails) >= 2
    worker.send_signal(end)
    worker.communicate()
    ended = [*jails, guest]
    assert eventually(lambda: not any(spawner.start_time(pid) for pid in ended), 2.0)


def test_the_reaper_ends_what_the_kernel_could_not() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    orphan = subprocess.Popen(["/bin/sleep", "60"], env={spawner.OWNER_VARIABLE: f"{gone.pid}:1"})
    mine = subprocess.Popen(
        ["/bin/sleep", "60"], env={spawner.OWNER_VARIABLE: spawner.owner_mark(os.getpid())}
    )
    assert eventually(lambda: orphan.pid in reaper.jails_of(f"{gone.pid}:1"))
    assert reaper.reap() >= 1
    assert orphan.wait(5) == -signal.SIGKILL
    assert mine.poll() is None
    mine.kill()
    mine.wait()


# --- cgroups --------------------------------------------------------------------------------


def test_groups_are_found_only_where_they_are_delegated(tmp_path: Path) -> None:
    group = tmp_path / "v2" / "system.slice" / "worker.service"
    leaf = group / "main"
    leaf.mkdir(parents=True)
    mounts = f"cgroup2 {tmp_path / 'v2'} cgroup2 rw 0 0"
    own = "0::/system.slice/worker.service/main"
    assert cgroups.probe(mounts, own) == cgroups.CgroupPlan()
    for where, handed in ((leaf, ""), (group, "cpu memory pids")):
        (where / "cgroup.subtree_control").write_text(handed)
        (where / "cgroup.procs").write_text("")
    assert cgroups.probe(mounts, own).v2 == group
    assert cgroups.probe("", "") == cgroups.CgroupPlan()


def test_a_group_has_its_limits_and_goes_with_its_jail(tmp_path: Path) -> None:
    plan = cgroups.CgroupPlan(v2=tmp_path)
    group = cgroups.Group(plan, "1:2-ab", 1 << 20, 9)
    made = tmp_path / "jail-1:2-ab"
    assert (made / "memory.max").read_text() == str(1 << 20)
    assert (made / "pids.max").read_text() == "9"
    (made / "memory.events").write_text("low 0\noom_kill 1\n")
    assert group.ran_out()


def test_groups_of_dead_workers_are_removed_and_of_living_ones_are_not(tmp_path: Path) -> None:
    for name in ("jail-1:2-ab", f"jail-{spawner.owner_mark(os.getpid())}-cd"):
        (tmp_path / name).mkdir()
    plan = cgroups.CgroupPlan(v2=tmp_path)
    reaper.reap(plan)
    assert [one.name for one in tmp_path.iterdir()] == [
        f"jail-{spawner.owner_mark(os.getpid())}-cd"
    ]
