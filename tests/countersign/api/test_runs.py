"""Runs by API: started once per key, followed, stopped; pages that stay put."""

import base64
import re
import threading
from typing import Any
from uuid import uuid4

from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.db import connection

from agents.models import Run
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program
from tests.countersign.api.caller import Caller, account_of, caller_in, issue

DONE = program("final_answer({'done': 'nothing to pay'})")


def start(caller: Caller, **more: Any) -> str:
    answer = caller.post("runs", {"agent": "Teller", **more})
    assert answer.status == 201
    return str(answer.body["id"])


def test_a_run_is_started_in_the_name_of_the_service_account(stage: Stage) -> None:
    account = account_of(stage.cast.acme, "Nightly")
    answer = Caller(issue(account).secret).post("runs", {"agent": "Teller", "inputs": {"limit": 3}})
    assert answer.status == 201
    assert answer.headers["Location"] == f"/api/v1/runs/{answer.body['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.body
    assert (body["state"], body["requester_name"], body["inputs"]) == (
        "queued",
        "Nightly",
        {"limit": 3},
    )
    assert (body["goal"], body["answer"], body["scripted"]) == ("Pay the vendors.", None, True)
    with in_workspace(stage.workspace_id):
        assert Run.objects.get(id=body["id"]).requester_id == str(account.id)


def test_the_answer_is_fetched_once_the_run_has_ended(billing: Caller, stage: Stage) -> None:
    run = stage.play(stage.start(DONE))
    found = billing.get(f"runs/{run.id}").body
    assert (found["state"], found["answer"]) == ("succeeded", {"done": "nothing to pay"})
    [step] = billing.get(f"runs/{run.id}/steps").body["items"]
    assert (step["number"], step["status"]) == (1, "final")
    assert billing.get(f"runs/{run.id}/steps", after=1).body["items"] == []


def test_a_repeated_request_gives_the_first_run(billing: Caller) -> None:
    first = billing.post("runs", {"agent": "Teller"}, Idempotency_Key="week 47")
    again = billing.post("runs", {"agent": "Teller"}, Idempotency_Key="week 47")
    assert (first.status, again.status) == (201, 200)
    assert first.body["id"] == again.body["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert len(billing.get("runs").body["items"]) == 1


def test_a_key_is_not_reused_for_another_request(billing: Caller) -> None:
    billing.post("runs", {"agent": "Teller"}, Idempotency_Key="week 47")
    other = billing.post(
        "runs", {"agent": "Teller", "goal": "Something else."}, Idempotency_Key="week 47"
    )
    assert (other.status, other.code) == (409, "idempotency_key_used")


def test_a_key_is_one_accounts_own(billing: Caller, stage: Stage) -> None:
    other = caller_in(stage.cast.acme)
    ids = {
        caller.post("runs", {"agent": "Teller"}, Idempotency_Key="week 47").body["id"]
        for caller in (billing, other)
    }
    assert len(ids) == 2


def test_the_same_key_at_the_same_moment_makes_one_run(committing_stage: Stage) -> None:
    token = caller_in(committing_stage.cast.acme).token
    answers = []
    together = threading.Barrier(4)

    def call() -> None:
        try:
            together.wait(10)
            answers.append(Caller(token).post("runs", {"agent": "Teller"}, Idempotency_Key="k"))
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 201]
    assert len({answer.body["id"] for answer in answers}) == 1


def test_without_a_key_every_request_is_a_run(billing: Caller) -> None:
    assert start(billing) != start(billing)


def test_cancelling_ends_a_run_and_its_requests(
    billing: Caller, waiting: Run, stage: Stage
) -> None:
    answer = billing.post(f"runs/{waiting.id}/cancel", {"reason": "The vendor called."})
    assert answer.status == 200
    assert answer.body["state"] == "cancelled"
    assert re.fullmatch(r"Stopped by .+: The vendor called\.", answer.body["reason"])
    assert stage.request(waiting).state == "cancelled"
    assert stage.actions(waiting)[-1] == "run.cancelled"
    again = billing.post(f"runs/{waiting.id}/cancel", {"reason": "Once more."})
    assert (again.status, again.body["reason"]) == (200, answer.body["reason"])


def test_events_are_the_log_of_the_run_in_pages(
    billing: Caller, waiting: Run, stage: Stage
) -> None:
    whole = billing.get(f"runs/{waiting.id}/events").body["items"]
    assert [event["action"] for event in whole] == stage.actions(waiting)
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    pages, after = [], 0
    while True:
        page = billing.get(f"runs/{waiting.id}/events", after=after, limit=2).body
        pages += page["items"]
        if not page["next"]:
            break
        after = int(page["next"])
    assert pages == whole
    assert billing.get(f"runs/{waiting.id}/events", after=len(whole)).body["items"] == []


def test_pages_of_runs_stay_put_while_runs_are_added(billing: Caller) -> None:
    before = [start(billing, goal=f"Task {number}.") for number in range(5)]
    first = billing.get("runs", limit=2).body
    later = start(billing)
    second = billing.get("runs", limit=2, cursor=first["next"]).body
    third = billing.get("runs", limit=2, cursor=second["next"]).body
    seen = [run["id"] for page in (first, second, third) for run in page["items"]]
    assert seen == before[::-1]
    assert third["next"] == ""
    assert later not in seen


def test_pages_of_entries_stay_put_while_entries_are_added(
    billing: Caller, waiting: Run, stage: Stage
) -> None:
    whole = [e["id"] for e in billing.get("audit/entries", run=waiting.id).body["items"]]
    page = billing.get("audit/entries", run=waiting.id, limit=3).body
    seen = [entry["id"] for entry in page["items"]]
    stage.vote(waiting, "bob")
    while page["next"]:
        page = billing.get("audit/entries", run=waiting.id, limit=3, cursor=page["next"]).body
        seen += [entry["id"] for entry in page["items"]]
    assert seen == whole


def test_pages_of_approvals_stay_put_while_requests_are_added(
    billing: Caller, stage: Stage
) -> None:
    from tests.countersign.api.conftest import PAY

    def wait() -> str:
        return str(stage.request(stage.play(stage.start(PAY))).id)

    before = [wait(), wait(), wait()]
    page = billing.get("approvals", limit=2).body
    seen = [request["id"] for request in page["items"]]
    before.append(wait())
    while page["next"]:
        page = billing.get("approvals", limit=2, cursor=page["next"]).body
        seen += [request["id"] for request in page["items"]]
    assert seen == before


def test_runs_are_found_by_state_agent_and_text(billing: Caller, waiting: Run) -> None:
    started = start(billing, goal="Look for the wombat.")

    def found(**query: Any) -> list[str]:
        return [run["id"] for run in billing.get("runs", **query).body["items"]]

    assert found(state="awaiting_approval") == [str(waiting.id)]
    assert set(found(state=["queued", "awaiting_approval"])) == {started, str(waiting.id)}
    assert found(text="wombat") == [started]
    assert found(agent="Nobody") == []


def test_a_cursor_of_elsewhere_is_refused(billing: Caller) -> None:
    start(billing), start(billing)
    for list_name, elsewhere in (
        ("runs", "audit/entries"),
        ("approvals", "runs"),
        ("audit/entries", "runs"),
    ):
        foreign = billing.get(elsewhere, limit=1).body["next"]
        assert foreign
        for cursor in ("x", foreign, foreign[:-1], "eA:eA"):
            refused = billing.get(list_name, cursor=cursor)
            assert (refused.status, refused.fields) == (422, ["cursor"]), (list_name, cursor)


def test_files_go_in_and_come_out(stage: Stage) -> None:
    caller = caller_in(stage.cast.acme)
    run_id = start(
        caller,
        files=[{"name": "a.csv", "content": base64.b64encode(b"1,2").decode()}],
        file_labels=["confidential"],
    )
    with in_workspace(stage.workspace_id):
        run = Run.objects.get(id=run_id)
    assert run.control_labels == ["confidential"]
    code = "open('out/b.txt', 'w').write(open('in/a.csv').read())\nfinal_answer({'done': 1})"
    stage.model.replies = [program(code)]
    stage.play(run)
    given, left = caller.get(f"runs/{run_id}/artifacts").body["items"]
    assert (given["name"], given["step"], given["labels"]) == ("a.csv", 0, ["confidential"])
    assert (left["name"], left["step"], left["media_type"]) == ("b.txt", 1, "text/plain")
    path = f"/api/v1/runs/{run_id}/artifacts/{left['id']}/content"
    content = caller.client.get(path, headers={"Authorization": f"Bearer {caller.token}"})
    assert content.content == b"1,2"
    assert content["Content-Disposition"] == 'attachment; filename="b.txt"'


def test_files_that_cannot_be_taken_say_why(billing: Caller) -> None:
    for body, status, words in (
        ({"files": [{"name": "a", "content": "no base64!"}]}, 422, "must be base64"),
        ({"files": [{"name": "a", "content": ""}, {"name": "a", "content": ""}]}, 422, "named a"),
        ({"files": [], "file_labels": ["secret"]}, 422, "untrusted"),
    ):
        answer = billing.post("runs", {"agent": "Teller", **body})
        assert answer.status == status
        assert words in str(answer.body)


# Files as they are, and files of earlier runs.


def uploaded(caller: Caller, stage: Stage, **fields: Any) -> Run:
    answer = caller.upload("runs/upload", {"agent": "Teller", **fields})
    assert answer.status == 201, answer.body
    with in_workspace(stage.workspace_id):
        return Run.objects.get(id=answer.body["id"])


def test_files_are_uploaded_as_they_are(billing: Caller, stage: Stage) -> None:
    large = ContentFile(bytes(range(256)) * 12_000, "../large.bin")
    run = uploaded(
        billing,
        stage,
        inputs='{"limit": 3}',
        file=[large, ContentFile(b"", "empty")],
        file_labels=["confidential"],
    )
    assert run.inputs == {"limit": 3}
    noted = [(file["name"], file["bytes"]) for file in run.files]
    assert noted == [("large.bin", 256 * 12_000), ("empty", 0)]
    assert run.control_labels == ["confidential", "untrusted"]
    mine = uploaded(billing, stage, trusted="true", file=ContentFile(b"1", "a"))
    assert mine.control_labels == []
    assert uploaded(billing, stage, goal="Nothing else.").files == []


def test_uploads_that_cannot_be_taken_say_why(billing: Caller, settings: LazySettings) -> None:
    settings.COUNTERSIGN_FILE_MB, settings.COUNTERSIGN_FILES_MB = 2, 3
    two = b"0" * (2 << 20)
    for fields, status, words in (
        ({"file": ContentFile(two + b"0", "a")}, 422, "a has more than 2 MB"),
        ({"file": [ContentFile(two, "a"), ContentFile(two, "b")]}, 422, "3 MB together"),
        ({"inputs": "[1]"}, 422, "JSON object"),
        ({"inputs": "{"}, 400, "not JSON"),
        ({"file": [ContentFile(b"", str(number)) for number in range(11)]}, 422, "At most 10"),
        ({"colour": "red"}, 422, "colour"),
        ({"artifact": [str(uuid4())]}, 422, "There is no file"),
    ):
        answer = billing.upload("runs/upload", {"agent": "Teller", **fields})
        assert (answer.status, words in str(answer.body)) == (status, True), answer.body


def test_a_form_that_is_none_is_refused_as_a_problem(billing: Caller) -> None:
    as_json = billing.post("runs/upload", {"agent": "Teller"})
    assert (as_json.status, as_json.code) == (415, "not_a_form")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 300):
        broken = billing.send("POST", "runs/upload", b"--x", content_type=kind)
        assert (broken.status, broken.code) == (400, "malformed")
    many = {str(number): "" for number in range(1_100)}
    assert billing.upload("runs/upload", many).status == 400
    assert billing.upload("runs/upload", {"goal": "x"}).fields == ["agent"]


def test_a_file_of_an_earlier_run_is_taken_by_its_id(billing: Caller, stage: Stage) -> None:
    earlier = uploaded(billing, stage, file=ContentFile(b"1,2", "a.csv"))
    [file] = billing.get(f"runs/{earlier.id}/artifacts").body["items"]
    by_form = uploaded(billing, stage, artifact=[file["id"]], trusted="true")
    by_json = start(billing, files=[{"artifact": file["id"]}], file_labels=[])
    assert by_form.control_labels == ["untrusted"]
    for run_id in (by_form.id, by_json):
        [taken] = billing.get(f"runs/{run_id}/artifacts").body["items"]
        assert (taken["sha256"], taken["labels"]) == (file["sha256"], ["untrusted"])
        assert taken["id"] != file["id"]
