"""Runs: lists, the timeline that follows, starting, stopping, settling doubt."""

import re

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile

from agents import selectors
from agents.models import Run, RunState, StepState
from audit import selectors as audit
from audit.services import Actor
from audit.transactions import in_workspace
from policies.selectors import active_policy
from policies.services import DecisionDraft, decision_record
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.world import GOAL, World, keep_file, make_run, make_step, unknown

RUNS = "/w/acme/runs/"


def text(page: str) -> str:
    """The words of a page, tags and extra space gone."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_list_filters_by_state_agent_and_text(world: World, log_in: LogIn) -> None:
    client = log_in("bob")
    assert client.get(RUNS).content.decode().count("<tr>") == 9  # with the heading
    assert "Van Dijk" in client.get(f"{RUNS}?state=running").content.decode()
    failed = client.get(f"{RUNS}?state=failed").content.decode()
    assert "The step limit of this run is reached" in failed
    assert failed.count("<tr>") == 2
    assert "No run matches." in client.get(f"{RUNS}?agent=Arithmetic").content.decode()
    by_id = client.get(f"{RUNS}?text={str(world.runs['running'].id)[:8]}").content.decode()
    assert by_id.count("<tr>") == 2
    assert "No run matches." in client.get(f"{RUNS}?text=nothing%00like").content.decode()


def test_runs_of_one_goal_are_told_apart_by_what_they_were_given(
    world: World, log_in: LogIn
) -> None:
    run = world.runs["running"]
    given = ", ".join(str(value) for value in run.inputs.values())
    assert given
    assert f"{str(run.id)[:8]} · {given}" in log_in("alice").get(RUNS).content.decode()


def test_pages_of_the_list_meet_without_gap_or_repeat(world: World, log_in: LogIn) -> None:
    with in_workspace(world.workspace_id):
        for _ in range(60):
            make_run(world.cast, world.version, RunState.FAILED, "Many.", reason="x")
    client = log_in("alice")
    seen: list[str] = []
    address = RUNS
    while address:
        page = client.get(address).content.decode()
        seen += re.findall(r'href="/w/acme/runs/([0-9a-f-]{36})/"', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address = RUNS + older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 68


def test_a_damaged_page_address_leads_to_the_first_page(world: World, log_in: LogIn) -> None:
    client = log_in("alice")
    response = client.get(f"{RUNS}?after=%%%", follow=True)
    assert "This page address is damaged." in response.content.decode()


def test_the_timeline_tells_what_ran_what_was_refused_and_what_waits(
    world: World, log_in: LogIn
) -> None:
    run = world.runs["waiting"]
    page = text(log_in("alice").get(f"{RUNS}{run.id}/").content.decode())
    assert "List invoices, list orders" in page
    assert "· model 11 s · sandbox 210 ms · tools 168 ms" in page
    assert "Ran by policy alone; nothing left the run." in page
    assert "→ 231 rows, confidential" in page
    assert "Refused before it ran" in page
    assert "Never pay an account that was not read from the vendor master." in page
    assert "Approval: 0 of 2 signed, sign by" in page
    assert "Operation: waiting, nothing has happened" in page
    assert "scripted model" in page


def test_the_live_part_is_the_part_of_the_page(world: World, log_in: LogIn) -> None:
    client, run = log_in("alice"), world.runs["waiting"]
    page = client.get(f"{RUNS}{run.id}/").content.decode()
    fragment = client.get(f"{RUNS}{run.id}/live/").content.decode()
    assert fragment.strip() in page
    seen = re.search(r"live/\?seen=(\w+)", page)
    assert seen is not None
    assert client.get(f"{RUNS}{run.id}/live/?seen={seen[1]}").status_code == 204
    with in_workspace(world.workspace_id):
        Run.objects.filter(id=run.id).update(steps_taken=4)
    assert client.get(f"{RUNS}{run.id}/live/?seen={seen[1]}").status_code == 200


def test_following_stops_when_the_run_has_ended(world: World, log_in: LogIn) -> None:
    run = world.runs["succeeded"]
    page = log_in("alice").get(f"{RUNS}{run.id}/").content.decode()
    assert "hx-get" not in page
    assert "Answer" in page


def test_step_and_call_have_pages_with_everything(world: World, log_in: LogIn) -> None:
    client, run = log_in("bob"), world.runs["waiting"]
    page = text(client.get(f"{RUNS}{run.id}/steps/1/").content.decode())
    assert "231 invoices, 214 with an order" in page
    assert "Facts the decision was made from" in page
    assert client.get(f"{RUNS}{run.id}/steps/9/").status_code == 404
    assert client.get(f"{RUNS}{run.id}/calls/{unknown()}/").status_code == 404
    assert (
        client.get(f"{RUNS}{world.runs['running'].id}/calls/{world.doubt.id}/").status_code == 404
    )


def test_a_person_settles_an_effect_in_doubt(world: World, log_in: LogIn) -> None:
    run = world.runs["doubt"]
    address = f"{RUNS}{run.id}/calls/{world.doubt.id}/"
    assert "An operator or a reviewer finds out" in log_in("dan").get(address).content.decode()
    mine = {"happened": "no", "result": "", "comment": "I know."}
    assert "someone else must say" in log_in("alice").post(address, mine).content.decode()
    client = log_in("bob")
    assert "Nobody knows whether this happened." in client.get(address).content.decode()
    given = {"happened": "yes", "result": "{", "comment": "I rang the bank."}
    assert "This is not JSON" in client.post(address, given).content.decode()
    wrong = client.post(address, {**given, "result": '"text"'}).content.decode()
    assert "does not fit the tool&#x27;s schema" in wrong
    done = client.post(address, {**given, "result": '{"id": "P-1"}'})
    assert done.headers["Location"] == f"{RUNS}{run.id}/"
    [entry] = audit.entries(world.workspace_id, audit.Filters(actions=("call.resolved",))).entries
    assert entry.actor_name == "Bob"


def test_the_start_form_is_made_from_the_inputs_the_agent_takes(
    world: World, log_in: LogIn
) -> None:
    page = log_in("alice").get(f"{RUNS}start/Accounts%20payable/").content.decode()
    assert GOAL.replace("'", "&#x27;") in page
    assert 'value="2026-W47"' in page
    assert 'type="email" name="in-report_to"' in page
    assert 'type="number" name="in-limit_cents" min="1"' in page
    assert 'type="checkbox" name="in-dry_run"' in page
    assert "In-report_to" not in page


def test_starting_a_run_twice_with_one_form_starts_one(world: World, log_in: LogIn) -> None:
    client = log_in("alice")
    page = client.get(f"{RUNS}start/Arithmetic/").content.decode()
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key is not None
    given = {
        "goal": "Add them up.",
        "key": key[1],
        "in-numbers": "[1, 2]",
        "in-rounding": "up",
        "in-words": "one\n\n two ",
    }
    first, second = (client.post(f"{RUNS}start/Arithmetic/", given) for _ in range(2))
    assert first.status_code == 302
    assert first.headers["Location"] == second.headers["Location"]
    with in_workspace(world.workspace_id):
        run = Run.objects.get(goal="Add them up.")
    assert run.inputs == {"numbers": [1, 2], "rounding": "up", "words": ["one", "two"]}
    assert run.requester_name == "Alice"


def test_inputs_that_do_not_fit_say_what_is_expected(world: World, log_in: LogIn) -> None:
    client = log_in("alice")
    given = {"goal": "Add.", "key": "k", "in-numbers": '["one"]', "in-rounding": "up"}
    page = client.post(f"{RUNS}start/Arithmetic/", given).content.decode()
    assert "numbers.0: &#x27;one&#x27; is not of type &#x27;integer&#x27;" in page
    broken = client.post(f"{RUNS}start/Arithmetic/", {**given, "in-numbers": "one"})
    assert "This is not JSON" in broken.content.decode()
    missing = client.post(f"{RUNS}start/Arithmetic/", {**given, "in-rounding": ""})
    assert "This field is required." in missing.content.decode()


def test_a_stopped_run_ends_and_its_request_is_withdrawn(world: World, log_in: LogIn) -> None:
    client, run = log_in("alice"), world.runs["waiting"]
    assert "Stop “Match this week" in client.get(f"{RUNS}{run.id}/stop/").content.decode()
    given = {"reason": "The wrong week."}
    page = client.post(f"{RUNS}{run.id}/stop/", given, follow=True).content.decode()
    assert "The run is stopped." in page
    assert "Stopped by Alice: The wrong week." in page
    card = client.get(f"/w/acme/approvals/{world.request.id}/").content.decode()
    assert "withdrawn" in card
    assert "Sign to allow" not in card
    again = client.post(f"{RUNS}{run.id}/stop/", given, follow=True).content.decode()
    assert "The run had already ended." in again


@pytest.mark.parametrize(
    ("said", "labels"),
    [
        ({}, ["untrusted"]),
        ({"written": "inside", "personal": "on"}, ["personal"]),
        ({"written": "outside", "confidential": "on"}, ["confidential", "untrusted"]),
    ],
)
def test_a_run_is_started_with_files(
    world: World, log_in: LogIn, said: dict[str, str], labels: list[str]
) -> None:
    client = log_in("alice")
    files = [ContentFile(b"a,b\n1,2\n", "../week.csv"), ContentFile(b"hello", "note.txt")]
    given = {"goal": "Add.", "key": "k", "in-numbers": "[1]", "in-rounding": "up"}
    started = client.post(f"{RUNS}start/Arithmetic/", {**given, **said, "attached": files})
    assert started.status_code == 302
    with in_workspace(world.workspace_id):
        run = Run.objects.get(goal="Add.")
    assert [file["name"] for file in run.files] == ["week.csv", "note.txt"]
    assert run.control_labels == labels
    page = text(client.get(started.headers["Location"]).content.decode())
    assert "week.csv 8 bytes · came with the task" in page
    _, table = selectors.artifacts(world.workspace_id, run.id)
    shown = client.get(f"{RUNS}{run.id}/files/{table.id}/").content.decode()
    assert '<th scope="col">a</th>' in shown
    assert '<td data-label="b">2</td>' in shown


def test_a_run_takes_the_file_of_an_earlier_one(world: World, log_in: LogIn) -> None:
    client, file = log_in("alice"), world.file
    shown = client.get(f"{RUNS}{file.run_id}/files/{file.id}/").content.decode()
    link = re.search(r'href="([^"]+)">Start a run with it', shown)
    assert link is not None
    chosen = client.get(link[1]).content.decode()
    form = re.search(rf'href="([^"]+Arithmetic/\?file={file.id})"', chosen)
    assert form is not None
    offered = client.get(form[1]).content.decode()
    assert f'value="{file.id}" ' in offered
    assert "checked" in offered
    given = {"goal": "Add.", "key": "k", "in-numbers": "[1]", "in-rounding": "up"}
    started = client.post(form[1], {**given, "earlier": [str(file.id)], "written": "inside"})
    assert started.status_code == 302
    with in_workspace(world.workspace_id):
        run = Run.objects.get(goal="Add.")
    assert [each["artifact"] for each in run.files] == [str(file.id)]
    assert run.control_labels == file.labels
    assert (
        "Start a run with it"
        not in log_in("dan").get(f"{RUNS}{file.run_id}/files/{file.id}/").content.decode()
    )


def test_a_file_that_is_too_large_is_said_at_the_form(
    world: World, log_in: LogIn, settings: LazySettings
) -> None:
    settings.COUNTERSIGN_FILE_MB = 1
    given = {"goal": "Add.", "key": "k", "in-numbers": "[1]", "in-rounding": "up"}
    large = ContentFile(b"0" * (1 << 20) + b"0", "week.csv")
    answer = log_in("alice").post(f"{RUNS}start/Arithmetic/", {**given, "attached": large})
    assert "The file week.csv has more than 1 MB." in answer.content.decode()


def test_an_answer_shows_the_picture_it_refers_to(world: World, log_in: LogIn) -> None:
    run = world.runs["succeeded"]
    with in_workspace(world.workspace_id):
        make_step(run, 1, StepState.EXECUTED, "pass", minutes=1)
        file = keep_file(world.workspace_id, run)
        answer = {"plot": {"artifact": "plot.png", "sha256": file.sha256, "bytes": file.size}}
        Run.objects.filter(id=run.id).update(answer=answer)
    page = log_in("dan").get(f"{RUNS}{run.id}/").content.decode()
    assert f'<img src="/w/acme/runs/{run.id}/files/{file.id}/image"' in page


def refuse_model(world: World, rule: str, goal: str) -> Run:
    """A run of one step whose second prompt went to no model, by the starter policy."""
    run = make_run(world.cast, world.version, RunState.DENIED, goal, reason="Denied.")
    step = make_step(run, 1, StepState.EXECUTED, "print(1)", minutes=3)
    step.observation = "Our key is AKIA" + "IOSFODNN7EXAMPLE, card 4111 1111 1111 1111."
    step.save(update_fields=["observation"])
    draft = DecisionDraft(
        actor=Actor("agent", str(run.agent_version_id), "Accounts payable v7"),
        action="use_model",
        outcome="deny",
        sentence="Denied.",
        request={"action": "use_model"},
        policy_version_id=active_policy(run.workspace_id).version_id,
        rules=[{"id": rule, "sentence": "", "reason": "", "shadow": False}],
        run_id=run.id,
        step=2,
    )
    decision_record(workspace_id=run.workspace_id, decisions=[draft])
    return run


def test_a_run_says_what_its_model_may_not_be_told_and_where(world: World, log_in: LogIn) -> None:
    goal = "Charge the card 378282246310005."
    with in_workspace(world.workspace_id):
        keys = refuse_model(world, "no-secret-to-a-model", goal)
        cards = refuse_model(world, "personal-numbers-to-models-that-take-them", goal)
        labels = refuse_model(world, "model-takes-these-labels", goal)
    client = log_in("bob")

    def found(run: Run) -> str:
        page = client.get(f"{RUNS}{run.id}/").content.decode()
        part = re.search(r'<section aria-labelledby="found">.*?</section>', page, re.DOTALL)
        return part[0] if part else ""

    assert "The result of step 1 AWS Access Key 1 AK•••" in text(found(keys))
    assert "378282246310005" not in found(cards)
    assert 'href="#step-1"' in found(cards)
    for row in ("The task Payment card numbers 1 37•••05", "The result of step 1 Payment card"):
        assert row in text(found(cards))
    assert found(labels) == ""
    ended = world.runs["running"]
    assert found(ended) == ""
