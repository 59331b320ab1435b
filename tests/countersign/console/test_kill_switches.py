"""Stopping and letting go on, by hand."""

import pytest

from agents.kill_switches.service import kill_set
from agents.models import KillScope, KillSwitch, RunState
from audit.models import Entry
from audit.transactions import in_workspace
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import World

LIST = "/w/acme/kill-switches/"
SET = f"{LIST}set/"
PAGES = ("", "runs/", "approvals/", "agents/", "policies/", "people/", "kill-switches/")


def stop(world: World, log_in: LogIn, who: str, what: str, **changes: str) -> str:
    """Send the form; the words of the page that answers."""
    given = {"what": what, "reason": "It pays twice.", "password": world.cast.passwords[who]}
    client = log_in(who)
    return text(client.post(SET, {**given, **changes}, follow=True).content.decode())


def lift(world: World, log_in: LogIn, who: str, switch: KillSwitch) -> str:
    given = {"reason": "It was a test.", "password": world.cast.passwords[who]}
    page = log_in(who).post(f"{LIST}{switch.id}/lift/", given, follow=True)
    return text(page.content.decode())


def switches(world: World) -> list[KillSwitch]:
    with in_workspace(world.workspace_id):
        return list(KillSwitch.objects.order_by("set_at"))


def refusals(world: World) -> list[str]:
    with in_workspace(world.workspace_id):
        return [str(e.actor_name) for e in Entry.objects.filter(action="kill.refused")]


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "ada"])
def test_whoever_works_here_stops_a_tool_and_the_list_says_who_when_and_why(
    world: World, log_in: LogIn, who: str
) -> None:
    page = stop(world, log_in, who, "tool:create_payment")
    assert "It stands still." in page
    assert "Tool create_payment It pays twice." in page
    [switch] = switches(world)
    assert (switch.scope, switch.subject) == (KillScope.TOOL, "create_payment")
    assert switch.set_by_name == who.capitalize()


def test_the_form_offers_everything_that_can_be_stopped_and_keeps_what_led_here(
    world: World, log_in: LogIn
) -> None:
    run = world.runs["running"]
    page = log_in("alice").get(f"{SET}?what=run:{run.id}").content.decode()
    for name in ("Every run of Acme", "Accounts payable", "create_payment", "scripted"):
        assert name in page
    assert f'value="run:{run.id}" selected' in page
    assert str(world.runs["succeeded"].id) not in page
    agent = log_in("alice").get("/w/acme/agents/Accounts%20payable/").content.decode()
    assert f"{SET}?what=agent:Accounts%20payable" in agent
    chosen = log_in("alice").get(f"{SET}?what=agent:Accounts%20payable").content.decode()
    assert 'value="agent:Accounts payable" selected' in chosen


def test_a_switch_for_a_run_ends_it(world: World, log_in: LogIn) -> None:
    run = world.runs["running"]
    assert "The run is stopped" in stop(world, log_in, "bob", f"run:{run.id}")
    with in_workspace(world.workspace_id):
        run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def test_while_the_workspace_stands_still_every_page_says_so(world: World, log_in: LogIn) -> None:
    stop(world, log_in, "alice", "workspace:")
    for page in PAGES:
        shown = text(log_in("dan").get(f"/w/acme/{page}").content.decode())
        assert "Nothing runs. Stopped by the kill switch for this workspace" in shown
        assert "It pays twice." in shown


def test_a_switch_for_everything_is_shown_here_and_lifted_on_the_host(
    world: World, log_in: LogIn
) -> None:
    made = kill_set(
        workspace_id=None, scope=KillScope.ALL, reason="fire", actor=world.cast.actor("ada")
    )
    assert isinstance(made, KillSwitch)
    page = text(log_in("ada").get(LIST).content.decode())
    assert "Every run of every workspace" in page
    assert "manage.py kill_switch lift" in page
    assert log_in("ada").get(f"{LIST}{made.id}/lift/").status_code == 200
    given = {"reason": "ours", "password": world.cast.passwords["ada"]}
    assert log_in("ada").post(f"{LIST}{made.id}/lift/", given).status_code == 404


def test_a_tool_is_let_go_on_by_one_and_the_workspace_by_two(world: World, log_in: LogIn) -> None:
    stop(world, log_in, "alice", "tool:create_payment")
    stop(world, log_in, "alice", "workspace:")
    tool, workspace = switches(world)
    assert "Lifted. The runs that it held go on" in lift(world, log_in, "ada", tool)
    assert "Asked for." in lift(world, log_in, "ada", workspace)
    assert "Confirm" in text(log_in("carol").get(LIST).content.decode())
    assert "another person has to lift it" in lift(world, log_in, "ada", workspace)
    assert (
        "You asked for this." in log_in("ada").get(f"{LIST}{workspace.id}/lift/").content.decode()
    )
    done = lift(world, log_in, "carol", workspace)
    assert "Nothing is stopped." in done
    assert "Carol, asked by Ada" in done
    assert "Nothing runs." not in done


@pytest.mark.parametrize("who", ["alice", "bob", "dan"])
def test_who_may_not_lift_is_told_and_recorded(world: World, log_in: LogIn, who: str) -> None:
    stop(world, log_in, "alice", "tool:create_payment")
    [switch] = switches(world)
    assert log_in(who).get(f"{LIST}{switch.id}/lift/").status_code == 403
    assert "Lifting needs the role" in lift(world, log_in, who, switch)
    assert refusals(world) == [who.capitalize()]
    assert switches(world)[0].lifted_at is None


def test_a_session_alone_stops_and_lifts_nothing(world: World, log_in: LogIn) -> None:
    refused = stop(world, log_in, "alice", "workspace:", password="guessed wrong")
    assert "That is not your password." in refused
    assert switches(world) == []
    stop(world, log_in, "alice", "tool:create_payment")
    [switch] = switches(world)
    given = {"reason": "It was a test.", "password": "guessed wrong"}
    response = log_in("ada").post(f"{LIST}{switch.id}/lift/", given)
    assert response.status_code == 422
    assert switches(world)[0].lifted_at is None


def test_dan_reads_and_may_not_stop(world: World, log_in: LogIn) -> None:
    assert "Stop something" not in log_in("dan").get(LIST).content.decode()
    assert "You need a role in this workspace" in stop(world, log_in, "dan", "workspace:")
    assert refusals(world) == ["Dan"]


@pytest.mark.parametrize("what", ["all:", "tool:nothing", "workspace:x", "", "run:not-an-id"])
def test_what_is_not_offered_cannot_be_chosen(world: World, log_in: LogIn, what: str) -> None:
    stop(world, log_in, "alice", what)
    assert switches(world) == []


def test_mallory_sees_nothing_of_it(world: World, log_in: LogIn) -> None:
    stop(world, log_in, "alice", "workspace:")
    [switch] = switches(world)
    client = log_in("mallory")
    assert "Nothing is stopped." in client.get("/w/other/kill-switches/").content.decode()
    assert client.get(f"/w/other/kill-switches/{switch.id}/lift/").status_code == 404
    given = {"reason": "x", "password": world.cast.passwords["mallory"]}
    assert client.post(f"/w/other/kill-switches/{switch.id}/lift/", given).status_code == 404
