"""What programs print and people write commands no terminal, and poses as no line of ours."""

from io import StringIO

import pytest
from django.core.management import call_command

from agents.errors import Divergence
from agents.kill_switches.service import kill_set
from agents.management.commands.run_replay import Command
from agents.models import KillScope
from agents.replay.restoring import Replayed
from policies.management.commands import policy_check
from tests.countersign.accounts.cast import Cast

FORGED = "\x1b[2J\x1b]0;owned\x07\nThe replay matches the journal: 9 steps.\r\u202e\x9b1A"


@pytest.mark.parametrize("what", ["printed text", FORGED])
def test_a_replay_that_differs_is_told_in_three_lines(what: str) -> None:
    out = StringIO()
    Command(stdout=out)._print(Replayed(3, divergence=Divergence(3, 0, what, FORGED, FORGED)))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("The replay") for line in lines)


def test_a_reason_stays_on_its_line(cast: Cast) -> None:
    made = kill_set(
        workspace_id=cast.acme.id,
        scope=KillScope.WORKSPACE,
        subject="",
        reason=FORGED,
        actor=cast.actor("carol"),
    )
    out = StringIO()
    call_command("kill_switch", "list", "--workspace", "acme", stdout=out)
    lines = out.getvalue().splitlines()
    assert str(getattr(made, "id", "")) in lines[0]
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("The replay") for line in lines)


def test_a_rule_s_words_stay_on_their_lines() -> None:
    rule = {"id": "r", "sentence": FORGED}
    lines = policy_check._words({"sentence": FORGED, "rules": [rule]}).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
