"""Probes a real jail: what the design promises, tried from inside and looked at from outside.

Each promise gets a finding: it holds, it does not, or (where the host delegates nothing) it is
not made. A program inside tells what it could do; what only the host can see (ids outside,
namespaces, cgroups) is read from ``/proc`` of the running guest.
"""

import platform
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agents.sandbox import runtime as runtimes
from agents.sandbox.config import SandboxConfig
from agents.sandbox.contract import (
    JSON,
    EndStep,
    GuestCall,
    JailLimits,
    Reply,
    StepRequest,
    StepResult,
    StepStatus,
)
from agents.sandbox.errors import SandboxError
from agents.sandbox.runtime import Runtime
from agents.sandbox.session import Jail

MOST_SYSTEM_CALLS = 85
_LIMITS = JailLimits(
    wall_s=5, cpu_s=1, memory_bytes=256 << 20, output_bytes=100_000, disk_bytes=4 << 20, pids=8
)
NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


class Verdict(StrEnum):
    """What a probe found."""

    HOLDS = "holds"
    FAILS = "FAILS"
    NOT_PROMISED = "not promised"


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    promise: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Probe:
    """A program whose last value is ``[holds, detail]``."""

    promise: str
    code: str


def check(config: SandboxConfig, runtime: Runtime) -> list[Finding]:
    """Give a finding for every promise; takes some seconds, since limits have to be met.

    Raises:
        SandboxUnavailable: no jail starts at all.
    """
    findings = check_reach(config, runtime)
    findings += [_ended(config, runtime, *end) for end in _ENDS]
    findings.append(_system_calls(config, runtime))
    return [*findings, _tree(runtime), *_cgroups(config)]


def check_reach(config: SandboxConfig, runtime: Runtime) -> list[Finding]:
    """Give findings on what is within reach inside a jail; a fraction of a second.

    Raises:
        SandboxUnavailable: no jail starts at all.
    """
    with Jail(config, runtime, _LIMITS) as jail:
        findings = [_inside(jail, index, probe) for index, probe in enumerate(PROBES, 1)]
        findings += [_outside(jail, config, look) for look in _LOOKS]
    return findings


def holds(findings: Sequence[Finding]) -> bool:
    """Tell whether no promise fails."""
    return bool(findings) and all(one.verdict is not Verdict.FAILS for one in findings)


class _Nothing:
    """Answers no call."""

    def call(self, call: GuestCall) -> Reply:
        return EndStep(call.tool)

    def needs_value(self, token: str, what: str) -> None:
        del token, what


def run(jail: Jail, code: str, index: int = 1) -> StepResult:
    """Run a program without tools at a fixed time."""
    return jail.step(StepRequest(index, code, 1_700_000_000_000_000, "check"), _Nothing())


def _finding(promise: str, good: bool, detail: object) -> Finding:
    return Finding(promise, Verdict.HOLDS if good else Verdict.FAILS, str(detail))


# --- from inside ----------------------------------------------------------------------------

# ruff: noqa: S108  (the paths below are the jail's)
_HELPERS = """
import ctypes, errno, os
_libc = ctypes.CDLL(None, use_errno=True)
def _refused(number, *args):
    ctypes.set_errno(0)
    result = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))
    return result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)
def _fails(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")
    return None
"""

PROBES = (
    Probe(
        "no socket of any family",
        """
import socket
made = []
for family in range(64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        if _fails(lambda: socket.socket(family, kind)) is None:
            made.append(family)
pair = _fails(socket.socketpair)
[not made and pair == "EPERM", f"64 families tried, {len(made)} made"]
""",
    ),
    Probe(
        "no host file is there",
        """
there = [name for name in ("/etc", "/proc", "/sys", "/home", "/root", "/usr", "/var", "/run",
         "/bin", "/mnt") if os.path.lexists(name)]
[not there, ", ".join(there) or "/ holds " + " ".join(sorted(os.listdir("/")))]
""",
    ),
    Probe(
        "nothing but /tmp can be written to",
        """
written = []
for top, folders, files in os.walk("/"):
    if top == "/tmp":
        folders.clear()
        continue
    if _fails(lambda: open(os.path.join(top, "probe"), "w")) is None:
        written.append(top)
    for name in files[:3]:
        path = os.path.join(top, name)
        if path != "/dev/null" and _fails(lambda: open(path, "r+b")) is None:
            written.append(path)
[not written, ", ".join(written[:5]) or "every directory tried"]
""",
    ),
    Probe(
        "/tmp is limited in bytes",
        """
def fill():
    with open("/tmp/fill", "wb", buffering=0) as stream:
        for _ in range(4096):
            stream.write(b"x" * 65536)
error = _fails(fill)
size = os.stat("/tmp/fill").st_size
os.unlink("/tmp/fill")
[error == "ENOSPC" and size <= 4 << 20, f"{error} after {size} bytes"]
""",
    ),
    Probe(
        "/tmp is limited in files",
        """
def many():
    for number in range(100_000):
        open(f"/tmp/{number}", "x").close()
error = _fails(many)
count = len(os.listdir("/tmp"))
for name in os.listdir("/tmp"):
    if name.isdigit():
        os.unlink("/tmp/" + name)
[error == "ENOSPC", f"{error} after {count} files"]
""",
    ),
    Probe(
        "the only devices are /dev/null and what it is",
        """
names = os.listdir("/dev")
made = _fails(lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
[names == ["null"] and made is not None, f"/dev holds {' '.join(names)}; mknod: {made}"]
""",
    ),
    Probe(
        "the environment is the fixed list",
        """
known = set(KNOWN)
extra = sorted(set(os.environ) - known)
[not extra, ", ".join(extra) or f"{len(os.environ)} variables, all fixed"]
""",
    ),
    Probe(
        "no descriptor but the channel",
        """
import stat
found = []
for number in range(256):
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        continue
    found.append((number, stat.S_IFMT(mode)))
channels = [number for number, kind in found if stat.S_ISSOCK(kind)]
null = all(stat.S_ISCHR(kind) for number, kind in found if number < 3)
[null and len(channels) == 1 and len(found) == 4,
 f"0-2 are /dev/null, {len(channels)} channel, {len(found)} in all"]
""",
    ),
    Probe(
        "no new process",
        """
tried = [_fails(os.fork), "refused" if _refused(435, 0, 88) else None,
         "refused" if _refused(56, 17, 0, 0, 0, 0) else None,
         "refused" if _refused(58) else None]
[None not in tried, f"fork, clone3, clone, vfork: {tried}"]
""",
    ),
    Probe(
        "no namespace, mount, trace, key, BPF or io_uring",
        """
calls = {"unshare": (272, 0x10000000), "setns": (308, 0, 0), "mount": (165, 0, 0, 0, 0, 0),
         "umount2": (166, 0, 0), "pivot_root": (155, 0, 0), "chroot": (161, 0),
         "ptrace": (101, 0, 0, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
         "process_vm_writev": (311, 1, 0, 0, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
         "keyctl": (250, 0, 0), "add_key": (248, 0, 0, 0, 0, 0), "request_key": (249, 0, 0, 0, 0),
         "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, 0, 0, 0),
         "io_uring_setup": (425, 1, 0), "userfaultfd": (323, 0), "memfd_create": (319, 0, 0),
         "open_by_handle_at": (304, 0, 0, 0), "name_to_handle_at": (303, 0, 0, 0, 0, 0),
         "fsopen": (430, 0, 0), "open_tree": (428, 0, 0, 0), "move_mount": (429, 0, 0, 0, 0, 0),
         "init_module": (175, 0, 0, 0), "finit_module": (313, 0, 0, 0),
         "kexec_load": (246, 0, 0, 0, 0), "reboot": (169, 0, 0, 0, 0),
         "swapon": (167, 0, 0), "personality": (135, 0),
         "prctl": (157, 0, 0, 0, 0, 0), "seccomp": (317, 0, 0, 0), "capset": (126, 0, 0),
         "setuid": (105, 0), "setgid": (106, 0), "setgroups": (116, 0, 0), "acct": (163, 0),
         "quotactl": (179, 0, 0, 0, 0), "syslog": (103, 2, 0, 0), "socketcall": (41, 1, 1, 0),
         "pidfd_getfd": (438, 0, 0, 0), "landlock": (444, 0, 0, 0), "settimeofday": (164, 0, 0)}
open_ones = [name for name, arguments in calls.items() if not _refused(*arguments)]
[not open_ones, ", ".join(open_ones) or f"{len(calls)} system calls refused"]
""",
    ),
    Probe(
        "no signal to anybody",
        """
sent = [number for number in (-1, 0, 1, 2) if _fails(lambda: os.kill(number, 0)) is None]
[not sent and os.getppid() == 0, f"kill refused, parent is {os.getppid()}"]
""",
    ),
    Probe(
        "no privileged id",
        """
ids = (os.getuid(), os.geteuid(), os.getgid(), os.getegid())
raised = _fails(lambda: os.setuid(0))
[0 not in ids and raised is not None, f"ids {ids}, setuid(0): {raised}"]
""",
    ),
    Probe(
        "another program inside has no more rights",
        """
import stat
found = [os.path.join(top, name) for top, _, files in os.walk("/") for name in files
         if os.lstat(os.path.join(top, name)).st_mode & (stat.S_ISUID | stat.S_ISGID)]
[not found, ", ".join(found) or "no setuid or setgid file"]
""",
    ),
    Probe(
        "the number of threads is limited",
        """
import threading
release, started = threading.Event(), []
try:
    for _ in range(1000):
        thread = threading.Thread(target=release.wait)
        thread.start()
        started.append(thread)
except RuntimeError:
    pass
release.set()
for thread in started:
    thread.join()
[len(started) < 8, f"{len(started)} threads could be started"]
""",
    ),
)


def _inside(jail: Jail, index: int, probe: Probe) -> Finding:
    known = [one.partition("=")[0] for one in _environment()]
    code = f"KNOWN = {known!r}\n{_HELPERS if index == 1 else ''}{probe.code}"
    try:
        result = run(jail, code, index)
    except SandboxError as error:
        return _finding(probe.promise, False, error)
    value = result.value
    if result.status is not StepStatus.COMPLETED or type(value) is not list or len(value) != 2:
        return _finding(probe.promise, False, result.error or value)
    return _finding(probe.promise, value[0] is True, value[1])


def _environment() -> tuple[str, ...]:
    from agents.sandbox.nsjail import ENVIRONMENT  # noqa: PLC0415

    return (*ENVIRONMENT, "PYTHONPATH=/site")


_COUNT = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
minus = [ctypes.c_long(-1)] * 6
def reachable(number):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *minus)
    return result != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS)
# 15, 60 and 231 end the thread or the process; 16, 56 and 302 are allowed for some arguments.
# 335 and 336 are the kernel's own for uprobes: no filter sees them, anybody else gets SIGILL.
known = [15, 16, 56, 60, 231, 302]
found = known + [n for n in [*range(600), *range(0x40000000, 0x40000250)]
                 if n & 0xfff not in (*known, 335, 336) and reachable(n)]
found
"""


def _system_calls(config: SandboxConfig, runtime: Runtime) -> Finding:
    promise = f"at most {MOST_SYSTEM_CALLS} system calls can be reached"
    if platform.machine() != "x86_64":
        return Finding(promise, Verdict.NOT_PROMISED, "counted on x86_64 only")
    with Jail(config, runtime, JailLimits(wall_s=10)) as jail:
        result = run(jail, _COUNT)
    if type(result.value) is not list:
        return _finding(promise, False, result.error)
    count = len(result.value)
    return _finding(promise, count <= MOST_SYSTEM_CALLS, f"{count} of 600 tried")


_ENDS: tuple[tuple[str, str, StepStatus], ...] = (
    ("an endless loop ends", "while True: pass", StepStatus.LIMIT_TIME),
    ("an endless C call ends", "sum(iter(int, 1))", StepStatus.LIMIT_TIME),
    ("a 1 GB allocation ends", "bytearray(1 << 30)", StepStatus.LIMIT_MEMORY),
    ("endless output ends", "while True: print('x' * 1000)", StepStatus.LIMIT_OUTPUT),
    (
        "an interpreter that ends itself is noticed",
        "import os; os._exit(0)",
        StepStatus.JAIL_KILLED,
    ),
)


def _ended(
    config: SandboxConfig, runtime: Runtime, promise: str, code: str, status: StepStatus
) -> Finding:
    with Jail(config, runtime, _LIMITS) as jail:
        result = run(jail, code)
    return _finding(promise, result.status is status, f"{result.status} after {result.wall_ms} ms")


# --- from outside ---------------------------------------------------------------------------


def _ids(pid: int, config: SandboxConfig) -> tuple[str, bool, str]:
    status = Path(f"/proc/{pid}/status").read_text()
    uids = re.findall(r"^Uid:\s+(.*)$", status, re.MULTILINE)[0].split()
    gids = re.findall(r"^Gid:\s+(.*)$", status, re.MULTILINE)[0].split()
    good = set(uids) == {str(config.outside_uid)} and set(gids) == {str(config.outside_gid)}
    return (
        "outside, its processes have an unprivileged id",
        good and "0" not in uids,
        f"uid {uids[0]}",
    )


def _rights(pid: int, config: SandboxConfig) -> tuple[str, bool, str]:
    del config
    status = Path(f"/proc/{pid}/status").read_text()
    wanted = {"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "NoNewPrivs": "1"}
    wanted |= {"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "Seccomp": "2"}
    found = dict(re.findall(r"^(\w+):\t(\S+)$", status, re.MULTILINE))
    wrong = [f"{key} {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
    detail = ", ".join(wrong) or "no capability, no_new_privs, seccomp filter"
    return "no capability and no way to get one", not wrong, detail


def _namespaces(pid: int, config: SandboxConfig) -> tuple[str, bool, str]:
    del config
    shared = [
        name
        for name in NAMESPACES
        if Path(f"/proc/{pid}/ns/{name}").readlink() == Path(f"/proc/self/ns/{name}").readlink()
    ]
    return "namespaces of its own", not shared, ", ".join(shared) or " ".join(NAMESPACES)


def _network(pid: int, config: SandboxConfig) -> tuple[str, bool, str]:
    del config
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    names = [line.partition(":")[0].strip() for line in lines]
    addresses = Path(f"/proc/{pid}/net/fib_trie")
    used = addresses.read_text().strip() if addresses.exists() else ""
    return "no network interface that is up", not used, f"{' '.join(names)} without an address"


def _mounts(pid: int, config: SandboxConfig) -> tuple[str, bool, str]:
    del config
    mounts = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
    writable = [one[1] for one in mounts if "rw" in one[3].split(",")]
    points = sorted(one[1] for one in mounts)
    good = set(points) == {"/", "/tmp", "/dev/null", "/guest.pyc"}
    return (
        "four mounts, the root read-only",
        good and set(writable) <= {"/tmp", "/dev/null"},
        f"{' '.join(points)}; writable: {' '.join(writable)}",
    )


_LOOKS: tuple[Callable[[int, SandboxConfig], tuple[str, bool, str]], ...] = (
    _ids,
    _rights,
    _namespaces,
    _network,
    _mounts,
)


def _outside(
    jail: Jail,
    config: SandboxConfig,
    look: Callable[[int, SandboxConfig], tuple[str, bool, str]],
) -> Finding:
    try:
        return _finding(*look(jail.guest_pid, config))
    except OSError as error:
        name = look.__name__.strip("_")
        return Finding(f"{name}, seen from outside", Verdict.FAILS, str(error))


def _tree(runtime: Runtime) -> Finding:
    marked = [
        path.name
        for path in runtime.root.rglob("*")
        if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH)
        and not path.is_symlink()
    ]
    good = runtimes.verify(runtime) and not marked
    return _finding(
        "the runtime is what its name says", good, ", ".join(marked) or runtime.root.name[:16]
    )


def _cgroups(config: SandboxConfig) -> list[Finding]:
    given: dict[str, JSON] = {
        "memory limited by a cgroup, too": config.cgroups.limits_memory,
        "threads limited by a cgroup, too": config.cgroups.limits_pids,
    }
    return [
        Finding(promise, Verdict.HOLDS, "cgroup made by the host")
        if held
        else Finding(promise, Verdict.NOT_PROMISED, "the host delegates none: resource limits hold")
        for promise, held in given.items()
    ]
