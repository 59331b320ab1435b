"""What is registered, written as a file, registers nothing new."""

import pytest
from pytest_django import Settings

from agents.errors import NotFound
from agents.registry import register
from agents.registry.plan import plan
from agents.registry.writing import agent_text, model_text, tool_text
from audit.services import Actor
from audit.transactions import in_workspace
from countersign.demo import registration
from countersign.demo.model import DemoModel
from tests.agents.runs.stage import REGISTER
from tests.countersign.accounts.cast import Cast

DEMO = registration.text(DemoModel("large-2026", "https://models.example/v1", "env:KEY", ""))
PRICED = """
models:
  priced:
    base_url: https://models.example/v1
    model: large
    price: {input: 2.50, output: 10, currency: EUR}
    timeout_s: 20
"""
SYSTEM = Actor("system", "test", "the test")


@pytest.mark.parametrize(
    ("text", "agent", "model", "tool"),
    [
        (REGISTER, "Teller", "scripted", "pay"),
        (DEMO, "Accounts payable", "demo", "send_mail"),
    ],
)
def test_written_and_read_again_changes_nothing(
    cast: Cast, settings: Settings, text: str, agent: str, model: str, tool: str
) -> None:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools", "countersign.demo"]
    register(workspace_id=cast.acme.id, text=text, actor=SYSTEM)
    written = [
        agent_text(cast.acme.id, agent),
        model_text(cast.acme.id, model),
        tool_text(cast.acme.id, tool),
    ]
    for part in written:
        with in_workspace(cast.acme.id):
            planned = plan(part)
        assert planned.versions == []
        assert len(planned.unchanged) == 1


def test_a_price_survives(cast: Cast) -> None:
    register(workspace_id=cast.acme.id, text=PRICED, actor=SYSTEM)
    text = model_text(cast.acme.id, "priced")
    assert "input: 2.5" in text
    with in_workspace(cast.acme.id):
        assert plan(text).versions == []


def test_what_is_not_there_is_not_found(cast: Cast) -> None:
    for write in (agent_text, model_text, tool_text):
        with pytest.raises(NotFound):
            write(cast.acme.id, "nothing")
