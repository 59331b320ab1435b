"""Where the sandbox does not hold, nothing runs: the run waits and says why."""

import pytest

from agents.models import RunState
from agents.sandbox.check import Finding, Verdict
from agents.sandbox.errors import SandboxUnavailable
from agents.worker import jails
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank


def test_no_program_runs_where_a_promise_fails(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [Finding("no network", Verdict.FAILS, "a socket could be opened")]
    monkeypatch.setattr(jails, "check_reach", lambda *_: broken)
    jails.require_sandbox.cache_clear()
    try:
        run = stage.start(program("note_down(text='ran')"))
        with pytest.raises(SandboxUnavailable, match="no network"):
            stage.play(run)
        assert stage.fresh(run).state == RunState.RUNNING
        assert bank.effects == []
    finally:
        jails.require_sandbox.cache_clear()
