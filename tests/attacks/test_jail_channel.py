"""A guest that lies on the channel: the program writes its own frames on the descriptor.

What it can gain is what it could do anyway: make calls that the handler decides about. All else
ends its jail.
"""

import pytest

from agents.sandbox.contract import StepStatus
from tests.agents.sandbox.fixtures import lab
from tests.agents.sandbox.lab import Lab

__all__ = ["lab"]

FORGE = """
import json, os, stat
def _socket():
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
        except OSError:
            continue
channel = _socket()
def raw(data): os.write(channel, data)
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    raw(len(body).to_bytes(4, "big") + body)
def call(number, tool="pay", arguments={"to": "Mallory", "amount": 9}):
    send({"call": number, "tool": tool, "arguments": arguments, "at": [1], "out": ""})
"""

LIES = {
    "a call of a tool that was not offered": "call(0, 'drop_table')",
    "a call out of order": "call(5)",
    "a call a second time": "call(0); call(0); call(0)",
    "ready again": "send({'ready': 1})",
    "an unknown message": "send({'grant': 'admin'})",
    "a length of 4 GB": "raw(b'\\xff\\xff\\xff\\xff')",
    "not JSON": "send(b'\\xff\\xfe')",
    "deep nesting": "send(b'{\"final\":' + b'[' * 100000 + b']' * 100000 + b',\"out\":\"\"}')",
    "a huge integer": "send(b'{\"final\":' + b'9' * 100000 + b',\"out\":\"\"}')",
    "an argument with NUL": "call(0, arguments={'to': 'a\\0b'})",
    "surrogates": 'send(b\'{"final":"\\\\ud800","out":""}\')',
    "a result with both": "send({'done': {'value': 1, 'error': None}, 'out': ''})",
    "an error without text": "send({'done': {'error': {'type': 1}}, 'out': ''})",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_ends_the_jail(lab: Lab, lie: str) -> None:
    result = lab.step(f"{FORGE}\n{lie}\nwhile True: pass")
    assert result.status is StepStatus.JAIL_KILLED
    assert result.error is not None
    assert "broke its protocol" in result.error.message
    assert not lab.jail.alive
    assert [call.tool for call in lab.calls] in ([], ["pay"])


def test_a_forged_call_is_a_call_like_any_other(lab: Lab) -> None:
    lab.step(f"{FORGE}\ncall(0)\nwhile True: pass")
    assert [(call.seq, call.arguments["to"]) for call in lab.calls] == [(0, "Mallory")]


def test_half_a_message_is_waited_for_no_longer_than_the_limit(lab: Lab) -> None:
    result = lab.step(f"{FORGE}\nraw(b'\\0\\0\\0\\x10{{')\nwhile True: pass")
    assert result.status is StepStatus.LIMIT_TIME


def test_a_flood_of_output_frames_ends_at_the_limit(lab: Lab) -> None:
    result = lab.step(f"{FORGE}\nwhile True: send({{'out': 'x' * 1000}})")
    assert result.status is StepStatus.LIMIT_OUTPUT
    assert len(result.stdout) <= lab.jail.limits.output_bytes


def test_a_flood_of_empty_frames_ends_at_the_limit(lab: Lab) -> None:
    result = lab.step(f"{FORGE}\nwhile True: send({{'out': ''}})")
    assert result.status is StepStatus.LIMIT_TIME


def test_a_step_that_claims_to_be_over_gains_no_time(lab: Lab) -> None:
    """The program goes on behind a forged end; its next frame is out of place."""
    result = lab.step(f"{FORGE}\nsend({{'done': {{'value': 'forged'}}, 'out': ''}})\ncall(0)")
    assert (result.status, result.value) == ("completed", "forged")
    assert lab.calls == []
    following = lab.step("'honest'")
    assert following.status in {StepStatus.JAIL_KILLED, StepStatus.COMPLETED}
    assert following.value != "honest" or lab.calls == []


def test_a_reply_is_not_read_twice(lab: Lab) -> None:
    """A thread that steals the reply starves its own program, nobody else."""
    code = (
        f"{FORGE}\nimport threading\n"
        "threading.Thread(target=lambda: os.read(channel, 65536), daemon=True).start()\n"
        "pay('x')"
    )
    result = lab.step(code)
    assert result.status in {StepStatus.COMPLETED, StepStatus.LIMIT_TIME, StepStatus.JAIL_KILLED}
    assert [call.arguments["to"] for call in lab.calls] in ([], ["x"])


def test_rewriting_the_guest_gives_no_other_rights(lab: Lab) -> None:
    code = (
        "import gc\n"
        "guest = next(o for o in gc.get_objects() if type(o).__name__ == '_Guest')\n"
        "guest.call('drop_table', {'all': True})"
    )
    result = lab.step(code)
    assert result.status is StepStatus.JAIL_KILLED
    assert lab.calls == []
