"""What is within reach inside the jail: every promise of ``sandbox_check``, and secrets."""

import os

import pytest

from agents.sandbox import check
from agents.sandbox.check import Finding, Verdict
from tests.agents.sandbox.fixtures import _kept_lab, lab, steady
from tests.agents.sandbox.lab import Lab, host

__all__ = ["_kept_lab", "lab", "steady"]


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return check.check(*host())


def test_every_promise_holds_on_this_machine(findings: list[Finding]) -> None:
    assert [one for one in findings if one.verdict is Verdict.FAILS] == []
    assert check.holds(findings)
    assert len(findings) >= 25


def test_a_promise_that_fails_is_noticed(findings: list[Finding]) -> None:
    assert not check.holds([*findings, Finding("x", Verdict.FAILS, "")])
    assert not check.holds([])


def test_a_probe_that_cannot_run_is_a_failure(steady: Lab) -> None:
    for code in ("1/0", "'holds'", "[1, 'truthy is not true']", "while True: pass"):
        probe = check.Probe("x", code)
        assert check._inside(steady.jail, 1, probe).verdict is Verdict.FAILS


def test_no_secret_of_the_worker_is_inside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY", "sesame-in-the-environment")
    made = Lab()
    code = (
        "import gc, os, sys\n"
        "text = str(dict(os.environ)) + str(sys.argv) + str(sys.path) + str(sys.flags)\n"
        "['sesame-' + 'in-the-environment' in text, 'COUNTERSIGN' in text, '/root' in text]"
    )
    assert made.value(code) == [False, False, False]
    made.close()


def test_nothing_names_the_host(steady: Lab) -> None:
    code = "import os, platform, uuid\n[os.uname().nodename, platform.node(), uuid.getnode()]"
    assert steady.value(code) == ["jail", "jail", 0x020000000001]
    assert os.uname().nodename != "jail"


def test_one_jail_finds_nothing_of_another() -> None:
    first, second = Lab(), Lab()
    try:
        first.step("open('/tmp/left', 'w').write('x')\nimport builtins\nbuiltins.left = 1")
        assert second.value(
            "import os, builtins\n"
            "[os.listdir('/tmp/out'), sorted(os.listdir('/tmp')), hasattr(builtins, 'left')]"
        ) == [[], ["in", "out"], False]
    finally:
        first.close()
        second.close()
