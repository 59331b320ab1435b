"""A stand-in for the loop: the scripted model's programs, in plain Python, against real tools."""

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.conversation.parsing import Program, parse_code
from agents.llm.chat import Message, Role
from agents.llm.script import Script, load_script
from agents.tools.context import ToolContext
from agents.tools.definition import Effect, ToolDefinition
from agents.tools.errors import ToolError
from agents.tools.invoke import invoke
from countersign.demo import setting, tools
from countersign.demo.model import SCRIPT

ALL = [tool for tool in vars(tools).values() if isinstance(tool, ToolDefinition)]
GOAL = "Match this week's supplier invoices and pay those that agree."


def resolve(reference: str) -> str:
    """Stands for the process's secret providers, which know the operator's folders only."""
    assert reference == setting.login_reference()
    return setting.login_file().read_text().strip()


class Finished(BaseException):
    """The program has given its final answer; no `except Exception` of a program catches it."""


@dataclass
class Bench:
    """Plays a conversation.

    Attributes:
        told: reply number (from 0) → what the agent is told instead of running its program.
        before: reply number → what happens elsewhere just before its program runs.
    """

    inputs: Mapping[str, str]
    told: Mapping[int, str] = field(default_factory=dict)
    before: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    script: Script = field(default_factory=lambda: load_script(SCRIPT))
    messages: list[Message] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    answer: Any = None
    calls: int = 0

    def run(self) -> None:
        """Go on until the final answer, or fail when the script has nothing more to say."""
        self.messages = [Message(Role.SYSTEM, "You work."), Message(Role.USER, GOAL)]
        offered = {tool.name: self._bound(tool) for tool in ALL}
        variables = {**self.inputs, **offered, "final_answer": self._finish}
        for number in range(12):
            found = self.script.next_turn(self.messages)
            assert found is not None, self.messages[-1].content
            program = parse_code(found[1])
            assert isinstance(program, Program), found[1]
            self.messages.append(Message(Role.ASSISTANT, found[1]))
            self.before.get(number, bool)()
            observed = self.told.get(number) or self._execute(program.code, variables)
            self.messages.append(Message(Role.USER, observed))
            if self.answer is not None:
                return
        raise AssertionError("no final answer in twelve steps")

    def _execute(self, code: str, variables: dict[str, Any]) -> str:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, variables)
        except Finished:
            pass
        except ToolError as error:
            return f"{printed.getvalue()}\n{error.kind}: {error}"
        return printed.getvalue()

    def _bound(self, definition: ToolDefinition) -> Callable[..., object]:
        def call(**arguments: object) -> object:
            self.calls += 1
            context = ToolContext(
                "workspace", "run", 1, f"{id(self)}:{self.calls}", resolve=resolve
            )
            result: object = invoke(definition, arguments, context)
            if definition.effect is Effect.WRITE:
                self.writes.append({"tool": definition.name, **arguments})
            return result

        return call

    def _finish(self, answer: object) -> None:
        self.answer = json.loads(json.dumps(answer))
        raise Finished
