import sys

import pytest

from agents.tools.errors import ToolImportError
from agents.tools.registry import load
from tests.agents.tools import samples

HERE = "tests.agents.tools"


def test_an_allowed_tool_is_loaded() -> None:
    assert load(f"{HERE}.samples:echo", {HERE}) is samples.echo
    assert load(f"{HERE}.samples:echo", {f"{HERE}.samples"}) is samples.echo


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{HERE}.samples:Status", "not a tool"),
        (f"{HERE}.samples:gone", "not a tool"),
        (f"{HERE}.gone:echo", "cannot be imported"),
        (f"{HERE}.test_registry:samples", "not a tool"),
    ],
)
def test_what_is_no_tool_is_refused(path: str, message: str) -> None:
    with pytest.raises(ToolImportError, match=message):
        load(path, {HERE})


def test_a_tool_has_one_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "other", samples.echo, raising=False)
    with pytest.raises(ToolImportError, match="another name"):
        load(f"{HERE}.test_registry:other", {HERE})
