"""A run that goes on although its model is stopped, since another model has the same content."""

from dataclasses import replace

import pytest

from agents import services
from agents.kill_switches.service import kill_set
from agents.models import AgentVersion, KillScope, KillSwitch, RunState
from agents.registry.plan import Plan, plan
from agents.registry.service import write
from audit import canonical
from audit.services import Actor
from audit.transactions import in_workspace
from tests.agents.runs.stage import REGISTER, Replies, Stage, program, register_signed

TWIN = """
  twin:
    base_url: http://127.0.0.1:9/v1
    model: scripted-test
    labels: ["untrusted", "confidential"]
tools:"""
CONTENT = ("kind", "base_url", "model", "api_key_ref", "labels", "settings")
TWINS = REGISTER.replace("\ntools:", TWIN, 1)
MOVED = TWINS.replace("    model: scripted\n", "    model: twin\n", 1)


def stop(stage: Stage, name: str) -> None:
    made = kill_set(
        workspace_id=stage.workspace_id,
        scope=KillScope.MODEL,
        subject=name,
        reason="it leaks",
        actor=stage.cast.actor("alice"),
    )
    assert isinstance(made, KillSwitch)


def played(stage: Stage) -> str:
    stage.model = Replies([program("final_answer({'done': 1})")])
    started = services.run_start(
        workspace_id=stage.workspace_id,
        agent="Teller",
        requester=stage.cast.actor("alice"),
        inputs={},
    )
    return stage.play(started.run).state


@pytest.mark.parametrize("name", ["scripted", "twin"])
def test_the_model_that_an_agent_names_is_the_one_that_stops_it(stage: Stage, name: str) -> None:
    register_signed(stage.cast, MOVED)
    stop(stage, name)
    expected = RunState.QUEUED if name == "twin" else RunState.SUCCEEDED
    assert played(stage) == expected


def test_an_agent_that_moves_to_a_twin_becomes_another_version(stage: Stage) -> None:
    register_signed(stage.cast, TWINS)
    register_signed(stage.cast, MOVED)
    with in_workspace(stage.workspace_id):
        moved = AgentVersion.objects.filter(agent__name="Teller").order_by("-number")[0]
        assert (moved.number, moved.endpoint.name) == (2, "twin")


MODEL = """
  {}:
    base_url: http://127.0.0.1:9/v1
    model: scripted-test
    labels: ["untrusted"]
"""


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_a_hash_without_the_name_is_kept_while_it_means_one_model(
    stage: Stage, names: tuple[str, ...]
) -> None:
    """Releases before this one stored such hashes; a file that says the same changes nothing."""
    text, other = "models:" + "".join(map(MODEL.format, names)), stage.cast.other.id
    with in_workspace(other):
        stored = [
            replace(new, digest=canonical.digest({key: new.content[key] for key in CONTENT}))
            for new in plan(text).versions
        ]
        actor = Actor("system", "test", "an earlier release")
        write(workspace_id=other, planned=Plan(stored), request_id=None, actor=actor)
        made = [str(new) for new in plan(text).versions]
    assert made == ([] if len(names) == 1 else ["model one v2", "model two v2"])
