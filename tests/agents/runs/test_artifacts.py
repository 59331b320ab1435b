"""Files that come with a task and files that programs leave."""

import hashlib
import tracemalloc

import pytest

from agents import services
from agents.errors import InputsInvalid, Refused, ReplayDiverged
from agents.files.artifacts import Upload
from agents.models import Artifact, ArtifactContent, Run, RunState
from agents.replay import restoring
from agents.session import open_session
from agents.worker import leases
from audit.models import Entry
from audit.transactions import in_workspace
from tests.agents.runs.stage import REGISTER, Replies, Stage, program, register_signed
from tests.agents.runs.test_countersign import sign
from tests.agents.runs.tools import bank

CSV = b"vendor,cents\nV-1,100\nV-2,250\n"
LEAVE = program("open('out/a.txt', 'w').write('one')\nopen('out/b.csv', 'w').write('x,y')")
ANSWER = program("final_answer({'done': {'artifact': 'a.txt'}})")


def start(
    stage: Stage, *replies: str, files: tuple[Upload, ...] = (), labels: tuple[str, ...] = ()
) -> Run:
    stage.model = Replies(replies)
    return services.run_start(
        workspace_id=stage.workspace_id,
        agent="Teller",
        requester=stage.cast.actor("alice"),
        files=files,
        file_labels=labels,
        idempotency_key="once",
    ).run


def kept(stage: Stage, run: Run) -> list[Artifact]:
    with in_workspace(stage.workspace_id):
        return list(Artifact.objects.filter(run=run).select_related("step"))


def test_a_file_of_the_task_is_read_by_its_programs(stage: Stage) -> None:
    read = program("total = sum(int(l.split(',')[1]) for l in open('in/week.csv').readlines()[1:])")
    run = start(
        stage,
        read,
        program("final_answer({'done': total})"),
        files=(Upload("../week.csv", CSV),),
    )
    run = stage.play(run)
    assert (run.state, run.answer) == (RunState.SUCCEEDED, {"done": 350})
    assert "in/week.csv (text/csv, 29 bytes)" in stage.model.asked[0].messages[1].content
    (row,) = kept(stage, run)
    assert (row.name, row.step, row.sha256) == (
        "week.csv",
        None,
        hashlib.sha256(CSV).hexdigest(),
    )
    assert "artifact.given" in stage.actions(run)


def test_what_a_program_leaves_is_kept_with_an_entry_in_its_steps_commit(stage: Stage) -> None:
    run = stage.play(start(stage, LEAVE, program("1 + 1"), ANSWER))
    rows = kept(stage, run)
    assert [(row.name, row.media_type, row.step.number if row.step else 0) for row in rows] == [
        ("a.txt", "text/plain", 1),
        ("b.csv", "text/csv", 1),
    ]
    with in_workspace(stage.workspace_id):
        entries = Entry.objects.filter(run_id=run.id, action="artifact.kept").order_by("run_seq")
        assert [(e.subject_id, e.subject_version) for e in entries] == [
            (str(row.id), row.sha256) for row in rows
        ]
    assert "Kept from out/: a.txt (3 bytes)" in stage.steps(run)[0].observation


def test_an_answer_names_the_content_of_its_file(stage: Stage) -> None:
    run = stage.play(start(stage, LEAVE, ANSWER))
    digest = hashlib.sha256(b"one").hexdigest()
    assert run.answer == {"done": {"artifact": "a.txt", "sha256": digest, "bytes": 3}}


def test_a_file_that_is_not_there_is_no_answer(stage: Stage) -> None:
    forged = program("final_answer({'done': {'artifact': 'x', 'sha256': 'ab', 'bytes': 1}})")
    run = stage.play(start(stage, forged, LEAVE, ANSWER))
    assert "There is no file out/x" in stage.steps(run)[0].observation
    assert run.state == RunState.SUCCEEDED


def test_a_replay_compares_what_was_left(stage: Stage) -> None:
    run = stage.play(start(stage, LEAVE, program("pay(account='DE01', amount_cents=5)"), ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    sign(stage, run)
    run = stage.play(run, owner="worker-2")
    assert run.state == RunState.SUCCEEDED
    assert [row.name for row in kept(stage, run)] == ["a.txt", "b.csv"]


def test_another_file_at_replay_is_a_divergence(stage: Stage) -> None:
    run = stage.play(start(stage, LEAVE, program("pay(account='DE01', amount_cents=5)")))
    sign(stage, run)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker-2")
    assert lease is not None
    session = open_session(lease)
    session.steps[0].files[0]["sha256"] = "0" * 64
    with pytest.raises(ReplayDiverged, match="files"):
        restoring.restore(session, before=2)
    session.drop_jail()


def test_the_plan_pass_keeps_nothing_and_the_applied_one_does(stage: Stage) -> None:
    both = program(
        "open('out/a.txt', 'w').write('one')\npaid = pay(account='DE01', amount_cents=5)"
    )
    run = stage.play(start(stage, both, ANSWER))
    assert kept(stage, run) == []
    sign(stage, run)
    run = stage.play(run)
    assert [row.name for row in kept(stage, run)] == ["a.txt"]


def test_a_files_labels_come_with_it(stage: Stage) -> None:
    run = start(stage, LEAVE, files=(Upload("a", b"1"),), labels=("untrusted", "personal"))
    assert run.control_labels == ["personal", "untrusted"]
    run = stage.play(run)
    assert {tuple(row.labels) for row in kept(stage, run)} == {("personal", "untrusted")}


def test_an_untrusted_file_does_not_say_who_is_paid(stage: Stage) -> None:
    code = program("pay(account=open('in/who').read(), amount_cents=5)")
    run = stage.play(start(stage, code, files=(Upload("who", b"DE66"),), labels=("untrusted",)))
    assert stage.steps(run)[0].state == "denied"


def test_the_same_request_with_another_file_is_another_request(stage: Stage) -> None:
    run = start(stage, LEAVE, files=(Upload("a", b"1"),))
    assert start(stage, LEAVE, files=(Upload("a", b"1"),)).id == run.id
    with pytest.raises(Refused):
        start(stage, LEAVE, files=(Upload("a", b"2"),))


@pytest.mark.parametrize(
    ("files", "labels", "words"),
    [
        ((Upload("a", b""), Upload("x/a", b"")), (), "Two files are named a"),
        (tuple(Upload(str(n), b"") for n in range(11)), (), "At most 10"),
        ((Upload("a", b"0" * ((25 << 20) + 1)),), (), "more than 25 MB"),
        ((Upload("a", b""),), ("secret",), "is no label"),
    ],
)
def test_too_much_is_refused(
    stage: Stage, files: tuple[Upload, ...], labels: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputsInvalid, match=words):
        start(stage, files=files, labels=labels)


def test_content_is_kept_once(stage: Stage) -> None:
    again = program("open('out/c.txt', 'w').write('one')")
    stage.play(start(stage, LEAVE, again, ANSWER))
    with in_workspace(stage.workspace_id):
        assert ArtifactContent.objects.count() == 2


# Files that tools give.

LETTERS = "tools:\n  fetch_letter: tests.agents.runs.tools:fetch_letter\n" + REGISTER[
    REGISTER.index("agents:") :
].replace("tools: [", "tools: [fetch_letter, ")
FETCH = program("letter = fetch_letter(vendor='V-1')\nprint(letter['artifact'])")
READ_IT = program("text = open('in/1-1-letter.txt').read()\nprint(text)")


def test_one_file_at_a_time_is_in_memory_once_more_while_it_is_kept(stage: Stage) -> None:
    """All files of a request twice or three times would be too much for a web process."""
    size = 4 << 20
    uploads = tuple(Upload(name, name.encode() * size) for name in "ab")
    start(stage, LEAVE)
    tracemalloc.start()
    try:
        services.run_start(
            workspace_id=stage.workspace_id,
            agent="Teller",
            requester=stage.cast.actor("alice"),
            files=uploads,
        )
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 1.25 * size


@pytest.fixture
def letters(stage: Stage) -> Stage:
    register_signed(stage.cast, LETTERS)
    return stage


def test_a_file_of_a_tool_is_there_in_the_next_step_and_after_a_restore(letters: Stage) -> None:
    pay = program("pay(account='DE01', amount_cents=5)")
    again = program("final_answer({'done': [text == open('in/1-1-letter.txt').read(), letter]})")
    run = letters.play(start(letters, FETCH, READ_IT, pay, again))
    assert run.state == RunState.AWAITING_APPROVAL, letters.steps(run)[-1].observation
    assert "V-1 asks: pay to XX66" in letters.steps(run)[1].observation
    sign(letters, run)
    run = letters.play(run, owner="worker-2")
    (file,) = kept(letters, run)
    handle = {"artifact": "1-1-letter.txt", "sha256": file.sha256, "bytes": file.size}
    assert run.answer == {"done": [True, handle]}
    assert bank.reads == 1
    assert (file.labels, letters.actions(run).count("artifact.kept")) == (["untrusted"], 1)


def test_a_file_of_a_tool_is_not_there_in_the_step_that_fetched_it(letters: Stage) -> None:
    both = "letter = fetch_letter(vendor='V-1')\nopen('in/1-1-letter.txt').read()"
    run = letters.play(start(letters, program(both)))
    assert "FileNotFoundError" in letters.steps(run)[0].observation


def test_what_a_tools_file_says_does_not_decide_who_is_paid(letters: Stage) -> None:
    code = "pay(account=open('in/1-1-letter.txt').read()[-4:], amount_cents=5)"
    run = letters.play(start(letters, FETCH, program(code)))
    assert letters.steps(run)[1].state == "denied"


def test_a_file_without_room_is_not_there_and_the_jail_lives(stage: Stage) -> None:
    full = program("print('alive')\nopen('in/large')")
    register_signed(
        stage.cast,
        REGISTER[REGISTER.index("agents:") :].replace("limits: {", "limits: {disk_mb: 1, "),
    )
    run = stage.play(start(stage, full, files=(Upload("large", b"0" * (2 << 20)),)))
    told = stage.steps(run)[0].observation
    assert "alive" in told
    assert "FileNotFoundError" in told
