"""A program stops what it watches; letting it go on is for people."""

import pytest

from agents.models import Run, RunState
from audit.models import Entry
from audit.transactions import in_workspace
from countersign.api.urls import api
from tests.agents.runs.stage import Stage, program
from tests.countersign.api.caller import Caller

READ = program("list_vendors()\nfinal_answer({'done': 1})")
TOOL = {"scope": "tool", "subject": "list_vendors", "reason": "Half of its answers are wrong."}


def test_a_stopped_tool_holds_the_runs_that_call_it(stage: Stage, billing: Caller) -> None:
    run = stage.start(READ)
    made = billing.post("kill-switches", TOOL).body
    assert (made["in_force"], made["set_by"].startswith("Program")) == (True, True)
    assert stage.play(run).state == RunState.QUEUED
    [listed] = billing.get("kill-switches").body["items"]
    assert (listed["id"], listed["runs"]) == (made["id"], 1)
    with in_workspace(stage.workspace_id):
        assert Entry.objects.get(action="kill.set").actor_type == "service"


def test_a_stopped_workspace_takes_no_run(stage: Stage, billing: Caller) -> None:
    billing.post("kill-switches", {"scope": "workspace", "reason": "A leak."})
    assert stage.play(stage.start(READ)).state == RunState.QUEUED


def test_a_stopped_run_ends(stage: Stage, billing: Caller, queued: Run) -> None:
    billing.post("kill-switches", {"scope": "run", "subject": str(queued.id), "reason": "Why?"})
    assert stage.fresh(queued).state == RunState.CANCELLED


def test_what_is_stopped_already_keeps_its_first_reason(billing: Caller) -> None:
    first = billing.post("kill-switches", TOOL).body
    again = billing.post("kill-switches", {**TOOL, "reason": "Another."}).body
    assert again == first


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"subject": "no_such_tool"}, 404),
        ({"subject": ""}, 422),
        ({"reason": " "}, 422),
        ({"scope": "all", "subject": ""}, 422),
        ({"scope": "workspace"}, 422),
        ({"scope": "run", "subject": "none"}, 404),
    ],
)
def test_what_names_nothing_stops_nothing(
    stage: Stage, billing: Caller, wrong: dict[str, str], status: int
) -> None:
    assert billing.post("kill-switches", {**TOOL, **wrong}).status == status
    assert billing.get("kill-switches", lifted="true").body["items"] == []


def test_no_operation_lifts_one(billing: Caller) -> None:
    made = billing.post("kill-switches", TOOL).body
    for method in ("DELETE", "PATCH", "PUT", "POST"):
        for path in (f"kill-switches/{made['id']}", f"kill-switches/{made['id']}/lift"):
            assert billing.send(method, path, "{}").status in (404, 405)
    assert not [name for name in api.scopes if "lift" in name]
    assert billing.get("kill-switches").body["items"] == [made]


def test_another_workspace_neither_sees_nor_reaches_it(
    stage: Stage, billing: Caller, stranger: Caller, queued: Run
) -> None:
    billing.post("kill-switches", TOOL)
    assert stranger.get("kill-switches").body["items"] == []
    assert stranger.post("kill-switches", TOOL).status == 404
    run = {"scope": "run", "subject": str(queued.id), "reason": "x"}
    assert stranger.post("kill-switches", run).status == 404
    assert stage.fresh(queued).state == RunState.QUEUED
