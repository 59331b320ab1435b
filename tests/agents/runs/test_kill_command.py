"""`manage.py kill_switch`: the door to a switch for everything."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from agents.models import KillScope, KillSwitch, RunState
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program

ANSWER = program("final_answer({'done': 1})")


def kill(stage: Stage, *words: str, who: str = "") -> str:
    out = StringIO()
    email = ("--as", stage.cast.user(who).email) if who else ()
    call_command("kill_switch", *words, *email, stdout=out)
    return out.getvalue()


def test_everything_is_stopped_listed_and_lifted_by_two(stage: Stage) -> None:
    said = kill(stage, "set", "all", "--reason", "a leak", who="ada")
    run = stage.play(stage.start(ANSWER))
    assert (run.state, "a leak" in run.reason) == (RunState.QUEUED, True)
    assert "all workspaces" in kill(stage, "list")
    switch = said.split()[0]
    assert "another person" in kill(stage, "lift", switch, "--reason", "closed", who="ada")
    with pytest.raises(CommandError, match="another person"):
        kill(stage, "lift", switch, "--reason", "closed", who="ada")
    assert "Lifted" in kill(stage, "lift", switch, "--reason", "closed", who="carol")
    assert kill(stage, "list") == ""
    assert stage.play(run).state == RunState.SUCCEEDED


def test_a_part_of_one_workspace(stage: Stage) -> None:
    acme = ("--workspace", "acme")
    kill(stage, "set", "tool", "pay", "--reason", "x", *acme, who="bob")
    assert "tool pay" in kill(stage, "list", *acme)
    with in_workspace(stage.workspace_id):
        assert KillSwitch.objects.get().scope == KillScope.TOOL


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("set", "workspace", "--reason", "x"), "no workspace"),
        (("set", "agent", "Nobody", "--reason", "x", "--workspace", "acme"), "no agent"),
        (("set", "agent", "Teller", "--reason", "x", "--workspace", "nowhere"), "no workspace"),
        (("set", "all", "--reason", " "), "Say why"),
    ],
)
def test_what_is_refused(stage: Stage, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        kill(stage, *words, who="ada")
