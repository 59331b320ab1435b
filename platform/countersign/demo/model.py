"""Which model the demo's agent asks: a real one where a key is given, else the scripted one."""

import shlex
import socket
from dataclasses import dataclass
from pathlib import Path

from agents.tools.secrets import SecretError, resolve
from countersign.demo import setting

SCRIPT = Path(__file__).parent / "script.yaml"
SCRIPTED = "scripted-accounts-payable"
PROCESS = "scripted-model"
OPENAI = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-5-mini"


@dataclass(frozen=True)
class DemoModel:
    """An endpoint as it is registered.

    Attributes:
        key: reference to the key, or "".
        process: command of ours that must run for it, or "".
    """

    model: str
    base_url: str
    key: str
    process: str

    @property
    def scripted(self) -> bool:
        return bool(self.process)


def chosen() -> DemoModel:
    """The model of the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_MODEL`)."""
    if not _given("OPENAI_API_KEY"):
        port = scripted_port()
        command = shlex.join(["scripted_model", str(SCRIPT), "--port", str(port)])
        return DemoModel(SCRIPTED, f"http://127.0.0.1:{port}/v1", "", command)
    return DemoModel(
        model=_given("OPENAI_MODEL") or OPENAI_MODEL,
        base_url=_given("OPENAI_BASE_URL") or OPENAI,
        key="env:OPENAI_API_KEY",
        process="",
    )


def scripted_port() -> int:
    """A free port, chosen once: parked runs come back to the address they were started with."""
    file = setting.folder() / "scripted_port"
    if not file.exists():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            file.write_text(str(probe.getsockname()[1]))
    return int(file.read_text())


def _given(name: str) -> str:
    try:
        return resolve(f"env:{name}")
    except SecretError:
        return ""
