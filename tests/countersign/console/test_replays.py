"""The page of a replay: waiting, the same, different with both sides, not to be made."""

from typing import Any

from agents.errors import Divergence
from agents.models import Replay, ReplayState
from audit.transactions import in_workspace
from countersign.console.sides import Side, apart
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import World

SAME = {"step": 1, "matched": "1 calls, 9 bytes printed", "skipped": "", "divergence": None}
LEFT_OUT = {"step": 2, "matched": "", "skipped": "refused by policy", "divergence": None}
DIFFERS = {
    "step": 3,
    "matched": "",
    "skipped": "",
    "divergence": {
        "step": 3,
        "call": 1,
        "what": "arguments",
        "recorded": '{"account": "DE44500105175407324931"}',
        "replayed": '{"account": "DE44<b>0"}',
    },
}


def made(world: World, state: ReplayState, *steps: dict[str, Any], error: str = "") -> Replay:
    with in_workspace(world.workspace_id):
        return Replay.objects.create(
            workspace_id=world.workspace_id,
            run=world.runs["waiting"],
            state=state,
            requester_id="1",
            requester_name="Dan",
            steps=list(steps),
            error=error,
        )


def address(world: World, replay: Replay | None = None) -> str:
    place = f"/w/acme/runs/{world.runs['waiting'].id}/replays/"
    return f"{place}{replay.id}/" if replay else place


def page(world: World, log_in: LogIn, replay: Replay | None, who: str = "dan") -> str:
    return log_in(who).get(address(world, replay)).content.decode()


def test_an_auditor_asks_and_follows(world: World, log_in: LogIn) -> None:
    client = log_in("dan")
    assert "Nobody has replayed this run" in page(world, log_in, None)
    response = client.post(address(world))
    followed = client.get(response.headers["Location"]).content.decode()
    assert "Waiting for a worker." in followed
    assert 'hx-trigger="every 1s"' in followed
    fragment = client.get(response.headers["Location"] + "?live").content.decode()
    assert fragment.strip() in followed


def test_a_reviewer_reads_and_cannot_ask(world: World, log_in: LogIn) -> None:
    read = page(world, log_in, None, "bob")
    assert "Auditors and operators can start one." in read
    assert 'method="post" class="acts"' not in read
    assert log_in("bob").post(address(world)).status_code == 403


def test_both_sides_stand_beside_each_other_with_the_difference_marked(
    world: World, log_in: LogIn
) -> None:
    shown = page(world, log_in, made(world, ReplayState.DONE, SAME, LEFT_OUT, DIFFERS))
    assert "Both sides: arguments of call 2" in text(shown)
    assert "Step 3 does something else than it did" in shown
    assert "<mark>500105175407324931</mark>" in shown
    assert "<mark>&lt;b&gt;0</mark>" in shown
    assert "left out refused by policy not part of a replay" in text(shown)
    assert "hx-get" not in shown


def test_a_run_that_is_the_same_and_one_that_cannot_be_replayed(
    world: World, log_in: LogIn
) -> None:
    same = page(world, log_in, made(world, ReplayState.DONE, SAME, LEFT_OUT))
    assert "The run does what its journal says" in same
    assert "1 step ran again" in text(same)
    assert "Other replays" not in same
    failed = page(world, log_in, made(world, ReplayState.FAILED, error="No sandbox <here>"))
    assert "No sandbox &lt;here&gt;" in failed
    assert "✓ the same, 1 step" in text(failed)


def test_where_two_texts_part() -> None:
    sides = apart(Divergence(1, None, "printed text", "2 vendors\n", "2 vendors, 3\n"))
    assert sides is not None
    assert sides.recorded == Side("2 vendors", "", "\n")
    assert sides.replayed == Side("2 vendors", ", 3", "\n")
    assert sides.call == 0
