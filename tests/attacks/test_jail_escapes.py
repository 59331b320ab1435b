"""Ways out of sandboxes, as published, tried in the real jail: each fails, and for its reason.

A program's last value is the reason: the name of the error that the kernel gave, or what it
found. The jail is the same one that runs agents' programs, started as this machine starts it.
"""

import platform

import pytest

from tests.agents.sandbox.fixtures import _kept_lab, lab, steady
from tests.agents.sandbox.lab import Lab

__all__ = ["_kept_lab", "lab", "steady"]

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="system calls are named by their x86-64 numbers"
)

SETUP = """
import ctypes, errno, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    passed = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else f"worked: {result}"
def attempt(action, *arguments):
    try:
        return f"worked: {action(*arguments)!r}"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
def machine_code(*code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes(code))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)(), page
"""

# name, program, what its last value must be. A user's jail owns the runtime's files outside, so
# there the read-only mount is what refuses.
ESCAPES = [
    (
        "subclasses to os.system",
        "every = ().__class__.__base__.__subclasses__()\n"
        "found = [one for one in every if one.__name__ == '_wrap_close']\n"
        "attempt(found[0].__init__.__globals__['posix_spawn'], '/py/bin/python3', ['x'], {})",
        "EPERM",
    ),
    ("os.system through a shell", "os.system('id') >> 8", "127"),  # No shell could be started.
    ("execve of a shell", "attempt(os.execv, '/bin/sh', ['sh'])", "ENOENT"),
    ("socket by raw system call", "call(41, 2, 1, 0)", "EPERM"),
    ("unix socket to the host", "call(41, 1, 1, 0)", "EPERM"),
    ("netlink socket", "call(41, 16, 3, 0)", "EPERM"),
    ("vsock to the hypervisor", "call(41, 40, 1, 0)", "EPERM"),
    ("socketpair to pass descriptors", "call(53, 1, 1, 0, 0)", "EPERM"),
    (
        "descriptors out over the channel (SCM_RIGHTS)",
        "channel = next(n for n in range(3, 64) if attempt(os.fstat, n).startswith('worked'))\n"
        "call(46, channel, 0, 0), call(47, channel, 0, 0)",
        "['EPERM', 'EPERM']",
    ),
    ("another process's memory", "call(310, 1, 0, 0, 0, 0, 0)", "EPERM"),
    ("ptrace of the first process", "call(101, 16, 1, 0, 0)", "EPERM"),
    ("the host's root through /proc", "attempt(os.listdir, '/proc/1/root')", "ENOENT"),
    ("own memory through /proc", "attempt(open, '/proc/self/mem', 'r+b')", "ENOENT"),
    ("kernel settings", "attempt(open, '/proc/sys/kernel/core_pattern')", "ENOENT"),
    ("release_agent of a cgroup", "attempt(os.listdir, '/sys/fs/cgroup')", "ENOENT"),
    ("user namespace for capabilities", "call(272, 0x10000000)", "EPERM"),
    ("joining a namespace", "call(308, 0, 0)", "EPERM"),
    ("thread with a mount namespace", "call(56, 0x10F00 | 0x20000, 0, 0, 0, 0)", "EPERM"),
    ("thread with a user namespace", "call(56, 0x10F00 | 0x10000000, 0, 0, 0, 0)", "EPERM"),
    ("process by clone", "call(56, 17, 0, 0, 0, 0)", "EPERM"),
    ("process by clone3", "call(435, 0, 88)", "ENOSYS"),
    ("process by vfork", "call(58)", "EPERM"),
    ("remounting the root writable", "call(165, b'none', b'/', 0, 0x1020, 0)", "EPERM"),
    ("unmounting /guest.pyc", "call(166, b'/guest.pyc', 2)", "EPERM"),
    ("chroot and climb", "attempt(os.chroot, '/tmp')", "EPERM"),
    ("climbing with dots", "sorted(os.listdir('/../../../..')) == sorted(os.listdir('/'))", "True"),
    ("opening by file handle (shocker)", "call(304, -100, 0, 0)", "EPERM"),
    ("a device of its own", "attempt(os.mknod, '/tmp/sda', 0o60600, os.makedev(8, 0))", "EPERM"),
    ("writing the interpreter", "attempt(open, '/py/bin/python3', 'r+b')",
     "EACCES or ETXTBSY or EROFS"),
    ("writing the guest", "attempt(open, '/guest.pyc', 'r+b')", "EACCES or EROFS"),
    (
        "poisoning the library's cache",
        "attempt(os.open, os.path.dirname(os.__file__) + '/evil.py', os.O_CREAT | os.O_WRONLY)",
        "EROFS",
    ),
    ("making it writable", "attempt(os.chmod, '/py', 0o777)", "EROFS"),
    ("kernel code by BPF", "call(321, 5, 0, 0)", "EPERM"),
    ("io_uring around the filter", "call(425, 8, 0)", "EPERM"),
    ("userfaultfd for races", "call(323, 0)", "EPERM"),
    ("keyring of the host", "call(250, 0, -4, 0, 0, 0)", "EPERM"),
    ("perf counters", "call(298, 0, 0, -1, -1, 0)", "EPERM"),
    ("code from a memory file", "call(319, b'x', 0)", "EPERM"),
    ("signalling everybody", "attempt(os.kill, -1, 9)", "EPERM"),
    ("stealing a descriptor", "call(434, 1, 0), call(438, 3, 0, 0)", "['EPERM', 'EPERM']"),
    ("raising its own limits", "call(160, 7, bytes([255] * 16)), call(302, 0, 7, bytes(16), 0)",
     "['EPERM', 'EPERM']"),
    ("raising its own priority", "attempt(os.nice, -20)", "EPERM"),
    ("switching the filter off", "call(317, 0, 0, 0), call(157, 22, 0, 0, 0, 0)",
     "['EPERM', 'EPERM']"),
    ("typing into a terminal (TIOCSTI)", "call(16, 0, 0x5412, b'x')", "EPERM"),
    ("shared memory with the host", "call(29, 1, 4096, 0o1600), call(240, b'/q', 66, 384, 0)",
     "['EPERM', 'EPERM']"),
    ("/dev/shm", "attempt(os.listdir, '/dev/shm')", "ENOENT"),
    ("a link to a host file", "attempt(os.symlink, '/etc/shadow', '/tmp/l')", "EPERM"),
    ("watching files", "call(294, 0), call(300, 0, 0)", "['EPERM', 'EPERM']"),
    ("the clock of the machine", "call(227, 0, 0), call(164, 0, 0)", "['EPERM', 'EPERM']"),
    ("the 32-bit numbers (x32)", "call(0x40000000 + 41, 2, 1, 0)", "EPERM"),
    (
        "a system call in its own machine code",  # socket(2, 1, 0)
        "machine_code(0xb8,41,0,0,0, 0xbf,2,0,0,0, 0xbe,1,0,0,0, 0x31,0xd2, 0x0f,0x05, 0xc3)[0]",
        "-1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "reason"), ESCAPES, ids=[one[0] for one in ESCAPES])
def test_escape_fails_for_its_reason(steady: Lab, name: str, code: str, reason: str) -> None:
    assert str(steady.value(SETUP + code)) in reason.split(" or "), name


def test_the_list_is_long_enough() -> None:
    assert len(ESCAPES) >= 20


def test_the_32_bit_entry_ends_the_jail(lab: Lab) -> None:
    """``int 0x80`` has other numbers: the filter does not even look at them."""
    code = "machine_code(0xb8,20,0,0,0, 0xcd,0x80, 0xc3)[0]"  # getpid() of i386
    result = lab.step(SETUP + code)
    assert result.status == "jail_killed" or result.value == -1


def test_a_setuid_program_is_inert(lab: Lab) -> None:
    """Even one that it makes itself: there is no privileged id inside to become."""
    code = (
        "import os, shutil\nshutil.copy('/lib64/ld-linux-x86-64.so.2', '/tmp/ld')\n"
        "os.chmod('/tmp/ld', 0o6755)\n"
        "[attempt(os.chown, '/tmp/ld', 0, 0), attempt(os.setuid, 0), os.getuid()]"
    )
    assert lab.value(SETUP + code) == ["EPERM", "EPERM", 1000]


def test_another_program_in_the_guests_place_gains_nothing(lab: Lab) -> None:
    """``execve`` is allowed, since nsjail needs it after the filter is on."""
    script = "import os, socket; socket.socket()"
    arguments = f"['x', '-c', {script!r}], {{'LD_PRELOAD': '/tmp/x'}}"
    code = f"import os\nos.execve('/py/bin/python3', {arguments})"
    result = lab.step(code)
    assert result.status == "jail_killed"
    assert lab.calls == []


def test_a_signal_handler_cannot_bring_a_parked_program_back(lab: Lab) -> None:
    code = (
        "import ctypes, threading, _thread\n"
        "throw = ctypes.pythonapi.PyThreadState_SetAsyncExc\n"
        "me = threading.get_ident()\n"
        "def wake():\n"
        "    for _ in range(1000):\n"
        "        throw(ctypes.c_ulong(me), ctypes.py_object(KeyError))\n"
        "        _thread.interrupt_main()\n"
        "threading.Thread(target=wake).start()\n"
        "try:\n    final_answer(1)\n"
        "except BaseException:\n    pay('sneaked')\n"
        "finally:\n    pay('sneaked')\n"
    )
    result = lab.step(code)
    assert (result.status, result.final) in {("final", 1), ("error", None)}
    if result.status == "final":
        assert lab.step("1").status in {"completed", "error"}
    assert [call for call in lab.calls if result.status == "final"] == []
