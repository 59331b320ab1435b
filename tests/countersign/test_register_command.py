"""``manage.py register``: at once the first time, as a proposal ever after."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from agents import selectors
from policies import selectors as policies
from tests.agents.runs.stage import REGISTER
from tests.countersign.accounts.cast import Cast

CHANGED = REGISTER.replace("goal: Pay the vendors.", "goal: Pay nobody.")


@pytest.fixture
def file(tmp_path: Path, settings: Settings) -> Path:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return tmp_path / "agents.yaml"


def run(file: Path, text: str, *arguments: str) -> str:
    file.write_text(text)
    out = io.StringIO()
    call_command("register", str(file), "--workspace=acme", *arguments, stdout=out)
    return out.getvalue()


def test_first_file_takes_effect_and_the_next_one_is_proposed(
    cast: Cast, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "made       agent Teller v1" in run(file, REGISTER)
    assert "made" not in run(file, REGISTER)
    with pytest.raises(CommandError, match="--as USER"):
        run(file, CHANGED)
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    with pytest.raises(CommandError, match="Nothing was proposed"):
        run(file, CHANGED, "--as=alice")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{cast.passwords['alice']}\n"))
    said = run(file, CHANGED, "--as=alice")
    assert "proposed   agent Teller v2" in said
    [request] = policies.requests(cast.acme.id)
    assert str(request.id) in said
    [agent] = selectors.agents(cast.acme.id)
    assert agent.version.number == 1


def test_faults_are_named(cast: Cast, file: Path) -> None:
    with pytest.raises(CommandError, match="there is no tool nothing"):
        run(file, REGISTER.replace("[list_vendors,", "[nothing,"))
    with pytest.raises(CommandError, match="no workspace"):
        call_command("register", str(file), "--workspace=nowhere")
