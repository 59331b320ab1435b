"""The guide's own commands against a real server, worker and scripted model.

A program starts the demo run and sees it park; two people sign in the console; the program fetches
the answer. Another workspace's token sees nothing of it.
"""

import json
import re
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.conf import global_settings
from pytest_django import Settings

from audit.verifier import countersign_verify
from countersign.accounts.models import Workspace
from countersign.accounts.scopes import Scope
from countersign.api.stream import MOST_OF_ONE_TOKEN
from countersign.demo import model, people, setting, start
from countersign.demo.generator import generate
from countersign.demo.install import install, write_credential
from countersign.embedded.processes import MANAGE, service
from tests.countersign.api.caller import account_of, issue
from tests.harness.server import Clone, Server

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "deploy" / "docs" / "api.md"
PATIENCE_S = 90.0
WEEK = b"vendor,cents\nV-117,1240000\n"
STREAM = '/events/stream" -H "Authorization: Bearer $TOKEN"\n'
BLOCK = re.compile(r"```sh\n(curl .*?)```", re.DOTALL)


@dataclass
class Program:
    """Executes the curl commands of the guide, as far as they are used there."""

    address: str
    token: str
    run: str = ""
    entry: str = ""
    export: str = ""
    artifact: str = ""
    change: str = ""
    policy: str = ""
    played: list[str] = field(default_factory=list)

    def request(self, command: str) -> httpx2.Request:
        names = {"COUNTERSIGN": self.address, "TOKEN": self.token, "RUN": self.run}
        names |= {"ENTRY": self.entry, "EXPORT": self.export, "ARTIFACT": self.artifact}
        names |= {"CHANGE": self.change, "POLICY": self.policy}
        text = re.sub(r"\$([A-Z]+)", lambda found: names[found[1]], command)
        words = shlex.split(text.replace("\\\n", " "))
        assert words.pop(0) == "curl"
        headers, body, addresses = {}, None, []
        fields, files = {}, {}
        while words:
            match words.pop(0):
                case "-sS" | "-sSN":
                    continue
                case "-H":
                    name, _, value = words.pop(0).partition(": ")
                    headers[name] = value
                case "-o":
                    words.pop(0)
                case "-d":
                    body = words.pop(0).encode()
                case "-F":
                    name, _, value = words.pop(0).partition("=")
                    if value.startswith("@"):
                        files[name] = (value[1:], WEEK)
                    else:
                        fields[name] = value
                case other:
                    addresses.append(other)
        [address] = addresses
        self.played.append(command)
        if files:
            return httpx2.Request("POST", address, headers=headers, data=fields, files=files)
        return httpx2.Request("POST" if body else "GET", address, headers=headers, content=body)

    def play(self, part: str) -> Any:
        """Send the guide's one command that has this part; gives the answer's JSON."""
        return json.loads(self.fetch(part))

    def fetch(self, part: str) -> bytes:
        """The same, gives the answer as it is; what is not signed yet is asked for again."""
        with httpx2.Client(timeout=30) as client:
            for _ in range(30):
                answer = client.send(self.request(command_with(part)))
                if answer.status_code != 409:
                    break
                time.sleep(1)
        assert answer.is_success, answer.text
        return answer.content

    def state(self) -> str:
        return str(self.play('/runs/$RUN" ')["state"])


def commands() -> list[str]:
    return BLOCK.findall(GUIDE.read_text())


def command_with(part: str) -> str:
    [found] = [command for command in commands() if part in command]
    return str(found)


@contextmanager
def running(clone: Clone, port: int) -> Iterator[None]:
    """Web, worker and scripted model on this clone, until the end of the block."""
    environment = clone.environment() | {"COUNTERSIGN_PORT": str(port)}
    script = [*MANAGE, "scripted_model", str(model.SCRIPT), "--port", str(model.scripted_port())]
    table = {process.name: process.command for process in service()}
    logs = setting.folder()
    started = []
    try:
        ours = [(name, table[name]) for name in ("web", "worker", "sequencer")]
        for name, command in [("model", script), *ours]:
            with (logs / f"{name}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
                    )
                )
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            logs = [
                f"{log.name}:\n{log.read_text()[-2000:]}" for log in setting.folder().glob("*.log")
            ]
            pytest.fail(f"{what}\n" + "\n".join(logs))
        time.sleep(0.1)


def answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/readyz", timeout=5).is_success
    except httpx2.TransportError:
        return False


@pytest.fixture
def demo(
    committing_database: Clone,
    database_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> Iterator[tuple[Clone, Workspace]]:
    """The demo's books, people and agent in a database of their own."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    # The web server runs with the real settings, and knows no hasher of the tests.
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS[:1]
    (setting.folder() / "passwords.json").unlink(missing_ok=True)
    admin = database_server.admin
    with admin.connect(committing_database.name) as connection:
        install(connection, "only-in-tests", generate(), setting.inbox())
    write_credential(
        setting.login_file(), admin.parameters, committing_database.name, "only-in-tests"
    )
    yield committing_database, start.workspace_ready(model.chosen())
    setting.login_file().unlink()


def sign(address: str, username: str, request: dict[str, Any]) -> None:
    """Sign as a person does in the console: log in, then password and meaning."""
    password = people.passwords()[username]
    digest = str(request["displayed_digest"])
    page = f"/w/{people.SLUG}/approvals/{request['id']}/sign/"
    with httpx2.Client(base_url=address, follow_redirects=True, timeout=30) as browser:
        _submit(browser, "/login", "/login", username=username, password=password)
        answer = _submit(
            browser,
            f"{page}?seen={digest}",
            page,
            displayed=digest,
            password=password,
            meaning="approved",
        )
    assert "Your signature is recorded." in answer.text, answer.text


def _submit(browser: httpx2.Client, form: str, path: str, **fields: str) -> httpx2.Response:
    hidden = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(form).text)
    assert hidden is not None
    answer = browser.post(path, data={**fields, "csrfmiddlewaretoken": hidden[1]})
    assert answer.is_success, answer.text
    return answer


def go_away(program: Program) -> None:
    """Begin to listen and leave without a word, as clients do."""
    with httpx2.Client(timeout=30) as client:
        response = client.send(program.request(command_with(STREAM)), stream=True)
        assert response.status_code == 200
        next(response.iter_lines())
        response.close()


def listen(program: Program, part: str) -> list[int]:
    """Numbers of the events in the stream that the guide's command with this part gives."""
    seen = []
    with httpx2.Client(timeout=PATIENCE_S) as client:
        response = client.send(program.request(command_with(part)), stream=True)
        assert response.headers["Content-Type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("id: "):
                seen.append(int(line.removeprefix("id: ")))
            if line == "event: end":
                break
        else:
            pytest.fail("the stream ended before the run")
        response.close()
    return seen


def test_the_guide_leads_from_a_task_to_a_countersigned_answer(
    demo: tuple[Clone, Workspace],
) -> None:
    clone, workspace = demo
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = Program(f"http://127.0.0.1:{port}", issue(account_of(workspace)).secret)
    with running(clone, port):
        until(lambda: answers(program.address), "the web server does not answer")
        program.run = str(program.play("invoices-2026")["id"])
        assert program.play("invoices-2026")["id"] == program.run

        until(lambda: program.state() == "awaiting_approval", "the run does not park")
        [request] = program.play("/approvals?run=$RUN")["items"]
        assert request["state"] == "waiting"
        assert_hidden_from_another_workspace(program, request)

        detail = httpx2.get(
            f"{program.address}/api/v1/approvals/{request['id']}",
            headers={"Authorization": f"Bearer {program.token}"},
        ).json()
        for _ in range(MOST_OF_ONE_TOKEN + 2):
            go_away(program)
        for username in ("bob", "erin"):
            sign(program.address, username, detail)
        seen = listen(program, STREAM)
        assert seen == list(range(1, len(seen) + 1))
        assert listen(program, "Last-Event-ID") == seen[3:]
        assert program.state() == "succeeded"
        run = program.play('/runs/$RUN" ')
        assert run["answer"]
        assert run["scripted"]

        # The rest of the guide; cancelling a run that has ended changes nothing.
        assert program.play("/cancel")["state"] == "succeeded"
        events = program.play("/events?after=3")["items"]
        assert [event["seq"] for event in events] == seen[3:53]
        assert program.play("/steps")["items"]
        assert [each["id"] for each in program.play("/runs?state=")["items"]] == [program.run]
        assert program.play("/agents")["items"][0]["name"] == start.AGENT
        for part in ('/policies/1" ', "/readiness", "/1/simulations"):
            assert program.play(part)
        propose_and_withdraw(program)
        follow_the_log(program, clone)
        give_and_take_a_file(program)
        stopped = program.play('"scope": "tool"')
        assert program.play("/kill-switches?lifted")["items"] == [stopped]
        assert stopped["in_force"]
    assert set(program.played) == set(commands())


def follow_the_log(program: Program, clone: Clone) -> None:
    """Find an entry, keep its proof and a checkpoint, take an export away; all of it verifies."""
    [entry, *others] = program.play("/audit/entries?")["items"]
    assert len(others) == 9
    program.entry = str(entry["id"])
    folder = Path(tempfile.mkdtemp(dir=clone.host))
    status = httpx2.get(
        f"{program.address}/api/v1/audit/status",
        headers={"Authorization": f"Bearer {program.token}"},
    ).json()
    for part, name in (("/proof", "entry.proof.json"), ("/audit/checkpoint", "kept")):
        (folder / name).write_bytes(program.fetch(part))
    program.export = str(program.play('"kind": "workspace"')["id"])
    until(lambda: program.play('/$EXPORT" ')["state"] == "done", "the export is not made")
    (folder / "bundle.zip").write_bytes(program.fetch("/download"))
    for name in ("entry.proof.json", "bundle.zip"):
        given = [str(folder / name), "--key", status["keys"][0], "--seen", str(folder / "kept")]
        assert countersign_verify.main(given) == 0, name


def propose_and_withdraw(program: Program) -> None:
    """Propose a model, roles and a policy; take the first back, leave the others to people."""
    change = program.play("/changes/registrations")["change"]
    assert change["words"]
    program.change = str(change["id"])
    assert program.play("/changes/registrations")["change"]["id"] == change["id"]
    assert program.play('/changes/$CHANGE" ')["state"] == "waiting"
    assert [each["id"] for each in program.play("/changes?state=")["items"]] == [change["id"]]
    assert program.play("/withdraw")["state"] == "cancelled"
    asked = program.play("/changes/roles")["change"]
    assert (asked["kind"], asked["state"]) == ("role", "waiting")
    program.policy = str(program.play("policy-2026")["number"])
    assert program.play("/$POLICY/simulations")["days"] == 7
    submitted = program.play("/submit")["change"]
    assert (submitted["kind"], submitted["state"]) == ("policy", "waiting")


def give_and_take_a_file(program: Program) -> None:
    """Start another run with a file, take the file away again, and give it to a third."""
    program.run = str(program.play("/runs/upload")["id"])
    [listed] = program.play('/artifacts" ')["items"]
    program.artifact = str(listed["id"])
    assert program.fetch("/content") == WEEK
    program.run = str(program.play('{"artifact"')["id"])
    [again] = program.play('/artifacts" ')["items"]
    assert (again["sha256"], again["labels"]) == (listed["sha256"], ["untrusted"])


def assert_hidden_from_another_workspace(program: Program, request: dict[str, Any]) -> None:
    other = Workspace.objects.get(slug=people.OTHER_SLUG)
    headers = {"Authorization": f"Bearer {issue(account_of(other)).secret}"}
    for path in (
        f"runs/{program.run}",
        f"runs/{program.run}/events/stream",
        f"approvals/{request['id']}",
    ):
        answer = httpx2.get(f"{program.address}/api/v1/{path}", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_guide_names_every_scope_and_status_as_they_are() -> None:
    text = GUIDE.read_text()
    for scope in Scope:
        assert f"| `{scope.value}` |" in text, scope
    assert "scope approvals:vote" not in text
