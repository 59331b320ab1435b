"""The scripted model as a process and as a partner of a whole conversation."""

import contextlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from agents.conversation.messages import STOP, Briefing, StepRecord, Task, messages
from agents.conversation.observation import rejected
from agents.conversation.parsing import Program, parse_code
from agents.llm.chat import ChatModel, ChatReply, ChatRequest
from agents.llm.client import EndpointSpec, OpenAIChatModel
from agents.llm.errors import ModelRefused, ModelUnavailable
from agents.llm.script import load_script, parse_script
from agents.llm.scripted import ScriptedChatModel, ScriptedServer

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
model: scripted-payer
turns:
  - when: {last: did not sign}
    reply: |
      I leave it out.
      <code>
      print("again")
      </code>
  - reply: |
      <think>hm</think>I look.
      <code>
      print("look")
      </code>
  - reply: |
      I pay.
      ```python
      print("pay")
      ```
      <observation>
      all is paid
  - when: {last: '/number (\\d+)/'}
    capture: {number: '/number (\\d+)/'}
    reply: <code>final_answer(${number})</code>
"""


def asked(model: ChatModel, steps: list[StepRecord]) -> ChatReply:
    briefing = Briefing("Payer", "", (), (), 9)
    said = messages(briefing, Task("Pay.", {}), steps, budget_tokens=50_000)
    return model.complete(ChatRequest(said.messages, "scripted-payer", 500, stop=STOP))


def played(model: ChatModel, observations: list[str]) -> list[str]:
    """The programs of a run whose steps end in these observations."""
    steps: list[StepRecord] = []
    for number, observation in enumerate(observations, 1):
        reply = asked(model, steps)
        program = parse_code(reply.text)
        assert isinstance(program, Program)
        steps.append(StepRecord(number, reply.text, program.code, observation))
    with pytest.raises(ModelRefused):
        asked(model, steps)
    return [step.code for step in steps]


def test_a_whole_run_adapts_and_is_the_same_with_and_without_http() -> None:
    script = parse_script(SCRIPT)
    observations = ["Printed:\nlook", rejected("1 payment", "Bob", "no"), "number 42", "done"]
    with ScriptedServer(script) as server:
        endpoint = EndpointSpec(base_url=server.base_url, model="scripted-payer")
        there = OpenAIChatModel(endpoint, resolve_secret=lambda _: "")
        with contextlib.closing(there):
            runs = [played(model, observations) for model in (ScriptedChatModel(script), there)]
    expected = ['print("look")', 'print("pay")', 'print("again")', "final_answer(42)"]
    assert runs == [expected, expected]


def test_faults_are_played_in_process_too() -> None:
    fault = "model: scripted-x\nturns: [{reply: a, fault: {kind: status, status: 503}}]"
    with pytest.raises(ModelUnavailable):
        asked(ScriptedChatModel(parse_script(fault)), [])
    with pytest.raises(ModelRefused):
        asked(ScriptedChatModel(parse_script(fault.replace("503", "401"))), [])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/healthz", None, 200),
        ("/v1/models", None, 200),
        ("/v1/else", None, 404),
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b'{"model": "scripted-payer"}', 400),
        ("/v1/chat/completions", b'{"model": "other", "messages": [{"role": "user"}]}', 404),
        ("/v1/chat/completions", b'{"model": "scripted-payer", "messages": [7]}', 400),
        ("/v1/chat/completions", b'{"model": "scripted-payer", "messages": [{"role": 7}]}', 400),
        ("/v1/embeddings", b"{}", 404),
    ],
)
def test_bad_requests_are_answered(path: str, body: bytes | None, status: int) -> None:
    with ScriptedServer(parse_script(SCRIPT)) as server:
        address = server.base_url.removesuffix("/v1") + path
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body), timeout=5) as answer:
                got = answer.status
        except urllib.error.HTTPError as error:
            with error:
                got = error.code
    assert got == status


def test_a_faulty_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"script\.yaml"):
        load_script(file)


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(SCRIPT)
    command = [sys.executable, "manage.py", "scripted_model", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address, _, rest = process.stdout.readline().partition(" ")
        assert rest == "plays scripted-payer\n"
        with urllib.request.urlopen(f"{address}/models", timeout=5) as answer:
            assert b"scripted-payer" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
