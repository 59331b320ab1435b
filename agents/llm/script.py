r"""The script of a scripted model: which recorded reply answers which conversation.

Guarantees: the reply depends on the messages alone (and, for faults, on the number of the
attempt), so a conversation can be carried on by any worker, against any copy of the server,
after any restart. Nothing of a conversation is ever executed or used as a pattern.

A script is one YAML or JSON file::

    model: scripted-accounts-payable   # must begin with "scripted"
    key: opensesame                    # optional: any other key is answered 401
    pace: {first_s: 0.2, chunk_s: 0.01, chunk_chars: 24}    # optional: how it is streamed
    tasks:                             # the first task whose `when` holds is played
      - name: match invoices
        when: {task: supplier invoices}
        turns: [...]
      - turns: [...]                   # without `when`: every other task
    turns: [...]                       # instead of `tasks`, when there is only one

A **turn** is spent once its reply stands in the conversation. The first turn that is not
spent and whose `when` holds (or is absent) answers. So plain turns follow each other, and a
turn with a condition, put before them, steps in exactly when it applies::

    - when: {last: rejected}           # reacts to a reviewer's feedback, whenever it comes
      reply: |
        I take the invoice out and try again.
        <code>...</code>
    - reply: |                         # the first thing said
        <code>invoices = list_invoices()</code>
    - when: {last: "/total: (\d+)/"}
      capture: {total: "/total: (\d+)/"}      # from the last message of the user
      reply: <code>final_answer(${total})</code>

`when` holds if all its parts do; each is a text that must occur, `/a regular expression/`
that must match somewhere, or a list of these:

| part | looked for in |
|---|---|
| `task` | the first message of the user |
| `last` | the last message of the user: the task at first, then the observation |
| `seen` | any message of the user |
| `said` | any reply so far |
| `system` | the system prompt |
| `replies` | (a number) how many replies there are so far |
| `not` | (parts again) none of these may hold |

Other keys of a turn: `repeat: true` (is never spent), `tool_calls: [{name, arguments}]`,
`finish: length` (ends the answer as if cut at the token limit), `usage: missing | malformed |
{input_tokens: 1, output_tokens: 1}`, and `fault`, one of::

    fault: {kind: status, status: 429, retry_after: 2, code: rate_limited}
    fault: {kind: slow, seconds: 3}                  # silence, then the reply
    fault: {kind: pings, seconds: 3}                 # comments of the stream, then the reply
    fault: {kind: nonsense, body: html}              # html | text | json | empty | chunks
    fault: {kind: disconnect, after: 20}             # characters of the reply

Each may say `attempts: 2` (only the first two requests of a call) and `seconds: 10` (only that
long after the server started: the one thing that depends on the clock).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from agents.conversation.parsing import visible
from agents.llm.chat import FinishReason, Message, Role, ToolCall

MAX_SCRIPT_BYTES = 4_000_000
_PATTERN_PARTS = ("task", "last", "seen", "said", "system")
_PLACE = re.compile(r"\$\{(\w+)\}")


class ScriptError(ValueError):
    """The script cannot be played; the sentence names the place in it."""


class FaultKind(StrEnum):
    STATUS = "status"
    SLOW = "slow"
    PINGS = "pings"
    NONSENSE = "nonsense"
    DISCONNECT = "disconnect"


class NonsenseBody(StrEnum):
    HTML = "html"
    TEXT = "text"
    JSON = "json"
    EMPTY = "empty"
    CHUNKS = "chunks"


class UsageKind(StrEnum):
    COUNTED = "counted"
    MISSING = "missing"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    status: int = 500
    retry_after: float | None = None
    code: str = ""
    param: str = ""
    seconds_slow: float = 0.0
    body: NonsenseBody = NonsenseBody.HTML
    after: int = 0
    attempts: int | None = None
    seconds: float | None = None

    def applies(self, attempt: int, uptime_s: float) -> bool:
        return (self.attempts is None or attempt <= self.attempts) and (
            self.seconds is None or uptime_s < self.seconds
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """All parts must hold; `none_of` must not."""

    patterns: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    replies: int | None = None
    none_of: "Condition | None" = None

    def holds(self, talk: "Talk") -> bool:
        if self.replies is not None and self.replies != len(talk.replies):
            return False
        if self.none_of is not None and self.none_of.holds(talk):
            return False
        return all(
            any(pattern.search(text) for text in talk.texts(part))
            for part, patterns in self.patterns.items()
            for pattern in patterns
        )


@dataclass(frozen=True, slots=True)
class Turn:
    reply: str
    when: Condition = Condition()
    repeat: bool = False
    capture: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = FinishReason.STOP
    usage: UsageKind = UsageKind.COUNTED
    tokens: tuple[int, int] | None = None
    fault: Fault | None = None

    def said_as(self, message: str) -> bool:
        """Whether the message is this turn's reply, whole or cut at its end."""
        said = visible(message).strip()
        wanted = visible(self.reply).strip()
        if not self.capture:
            return wanted.startswith(said) and bool(said)
        pieces = _PLACE.split(wanted)
        pattern = "".join(
            ".*?" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
        )
        return re.fullmatch(pattern, said, re.DOTALL) is not None

    def filled(self, talk: "Talk") -> str:
        """The reply with what was captured from the last observation."""
        found = {
            name: match[match.lastindex or 0]
            for name, pattern in self.capture.items()
            if (match := pattern.search(talk.last))
        }
        return _PLACE.sub(lambda place: found.get(place[1], place[0]), self.reply)


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    turns: tuple[Turn, ...]
    when: Condition = Condition()


@dataclass(frozen=True, slots=True)
class Pace:
    first_s: float = 0.0
    chunk_s: float = 0.0
    chunk_chars: int = 40


@dataclass(frozen=True, slots=True)
class Script:
    model: str
    tasks: tuple[Task, ...]
    key: str = ""
    pace: Pace = Pace()

    def next_turn(self, messages: Sequence[Message]) -> tuple[Turn, str] | None:
        """The turn that answers and its filled text; None where the script has none."""
        talk = Talk.of(messages)
        task = next((task for task in self.tasks if task.when.holds(talk)), None)
        if task is None:
            return None
        spent = _spent(task.turns, talk.replies)
        for place, turn in enumerate(task.turns):
            if place not in spent and turn.when.holds(talk):
                return turn, turn.filled(talk)
        return None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation as conditions see it."""

    system: tuple[str, ...]
    asked: tuple[str, ...]
    replies: tuple[str, ...]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Talk":
        def by(*roles: Role) -> tuple[str, ...]:
            return tuple(message.content for message in messages if message.role in roles)

        return cls(by(Role.SYSTEM), by(Role.USER, Role.TOOL), by(Role.ASSISTANT))

    @property
    def last(self) -> str:
        return self.asked[-1] if self.asked else ""

    def texts(self, part: str) -> tuple[str, ...]:
        return {
            "task": self.asked[:1],
            "last": self.asked[-1:],
            "seen": self.asked,
            "said": self.replies,
            "system": self.system,
        }[part]


def _spent(turns: Sequence[Turn], replies: Sequence[str]) -> set[int]:
    """Places of the turns already played; each reply spends at most one."""
    spent: set[int] = set()
    for reply in replies:
        for place, turn in enumerate(turns):
            if place not in spent and not turn.repeat and turn.said_as(reply):
                spent.add(place)
                break
    return spent


def load_script(path: Path) -> Script:
    """Reads a script file.

    Raises:
        ScriptError: it is not a script; says where.
    """
    if path.stat().st_size > MAX_SCRIPT_BYTES:
        raise ScriptError(f"{path}: a script has at most {MAX_SCRIPT_BYTES} bytes")
    try:
        return parse_script(path.read_text("utf-8"))
    except (ScriptError, UnicodeDecodeError) as fault:
        raise ScriptError(f"{path}: {fault}") from None


def parse_script(text: str) -> Script:
    """Reads a script from YAML or JSON text.

    Raises:
        ScriptError: it is not a script; says where.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise ScriptError(f"the script is not YAML: {fault}") from None
    script = _Reader("script", value, {"model", "key", "pace", "tasks", "turns"})
    model = script.text("model", "")
    if not model.startswith("scripted"):
        raise ScriptError("script.model must begin with 'scripted', so that every screen says so")
    if ("tasks" in script.value) == ("turns" in script.value):
        raise ScriptError("a script has either tasks or turns")
    if "turns" in script.value:
        tasks: tuple[Task, ...] = (Task("any", _turns("script.turns", script.value["turns"])),)
    else:
        tasks = tuple(_task(where, item) for where, item in script.items("tasks"))
    pace = _Reader(
        "script.pace", script.value.get("pace", {}), {"first_s", "chunk_s", "chunk_chars"}
    )
    return Script(
        model=model,
        tasks=tasks,
        key=script.text("key", ""),
        pace=Pace(
            pace.number("first_s", 0.0),
            pace.number("chunk_s", 0.0),
            max(1, int(pace.number("chunk_chars", 40))),
        ),
    )


def _task(where: str, value: object) -> Task:
    task = _Reader(where, value, {"name", "when", "turns"})
    turns = _turns(f"{where}.turns", task.value.get("turns"))
    return Task(task.text("name", where), turns, _condition(where, task.value.get("when")))


def _turns(where: str, value: object) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        raise ScriptError(f"{where} must be a list of turns")
    return tuple(_turn(f"{where}[{place}]", item) for place, item in enumerate(value))


def _turn(where: str, value: object) -> Turn:
    keys = {"reply", "when", "repeat", "capture", "tool_calls", "finish", "usage", "fault"}
    turn = _Reader(where, value, keys)
    capture = _Reader(f"{where}.capture", turn.value.get("capture", {}), None).value
    usage, tokens = _usage(where, turn.value.get("usage", "counted"))
    return Turn(
        reply=turn.text("reply", ""),
        when=_condition(where, turn.value.get("when")),
        repeat=turn.value.get("repeat", False) is True,
        capture={
            str(name): _pattern(f"{where}.capture.{name}", item) for name, item in capture.items()
        },
        tool_calls=tuple(
            _call(place, f"{where}.tool_calls[{place}]", item)
            for place, (_, item) in enumerate(turn.items("tool_calls"))
        ),
        finish=_choice(f"{where}.finish", FinishReason, turn.text("finish", "stop")),
        usage=usage,
        tokens=tokens,
        fault=_fault(f"{where}.fault", turn.value.get("fault")),
    )


def _call(place: int, where: str, value: object) -> ToolCall:
    call = _Reader(where, value, {"name", "arguments"})
    arguments = call.value.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(f"call_{place + 1}", call.text("name", ""), text)


def _usage(where: str, value: object) -> tuple[UsageKind, tuple[int, int] | None]:
    if isinstance(value, str):
        return _choice(f"{where}.usage", UsageKind, value), None
    usage = _Reader(f"{where}.usage", value, {"input_tokens", "output_tokens"})
    counts = int(usage.number("input_tokens", 0)), int(usage.number("output_tokens", 0))
    return UsageKind.COUNTED, counts


def _fault(where: str, value: object) -> Fault | None:
    if value is None:
        return None
    keys = {"kind", "status", "retry_after", "code", "param", "body", "after", "attempts"}
    fault = _Reader(where, value, keys | {"seconds"})
    kind = _choice(f"{where}.kind", FaultKind, fault.text("kind", ""))
    attempts = fault.value.get("attempts")
    slow = kind in (FaultKind.SLOW, FaultKind.PINGS)
    return Fault(
        kind=kind,
        status=int(fault.number("status", 500)),
        retry_after=fault.number("retry_after", 0.0) if "retry_after" in fault.value else None,
        code=fault.text("code", ""),
        param=fault.text("param", ""),
        seconds_slow=fault.number("seconds", 0.0) if slow else 0.0,
        body=_choice(f"{where}.body", NonsenseBody, fault.text("body", "html")),
        after=int(fault.number("after", 0)),
        attempts=attempts if isinstance(attempts, int) else None,
        seconds=fault.number("seconds", 0.0) if "seconds" in fault.value and not slow else None,
    )


def _condition(where: str, value: object) -> Condition:
    if value is None:
        return Condition()
    parts = _Reader(f"{where}.when", value, {*_PATTERN_PARTS, "replies", "not"})
    patterns = {
        part: tuple(_pattern(f"{parts.where}.{part}", item) for item in _listed(parts.value[part]))
        for part in _PATTERN_PARTS
        if part in parts.value
    }
    replies = parts.value.get("replies")
    if replies is not None and type(replies) is not int:
        raise ScriptError(f"{parts.where}.replies must be a whole number")
    denied = parts.value.get("not")
    return Condition(patterns, replies, None if denied is None else _condition(where, denied))


def _pattern(where: str, value: object) -> re.Pattern[str]:
    if not isinstance(value, str) or not value:
        raise ScriptError(f"{where} must be a text")
    if len(value) > 2 and value.startswith("/") and value.endswith("/"):
        try:
            return re.compile(value[1:-1], re.DOTALL)
        except re.error as fault:
            raise ScriptError(f"{where} is not a regular expression: {fault}") from None
    return re.compile(re.escape(value))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


Choice = TypeVar("Choice", bound=StrEnum)


def _choice(where: str, kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise ScriptError(f"{where} must be one of: {', '.join(kind)}") from None


class _Reader:
    """A mapping of the script, with the place it stands at for errors."""

    def __init__(self, where: str, value: object, keys: set[str] | None) -> None:
        if not isinstance(value, dict):
            raise ScriptError(f"{where} must be a mapping")
        self.where = where
        self.value: dict[str, Any] = value
        unknown = [str(key) for key in value if keys is not None and key not in keys]
        if unknown:
            raise ScriptError(f"{where} has an unknown key: {unknown[0]}")

    def text(self, key: str, default: str) -> str:
        value = self.value.get(key, default)
        if not isinstance(value, str):
            raise ScriptError(f"{self.where}.{key} must be a text")
        return value

    def number(self, key: str, default: float) -> float:
        value = self.value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ScriptError(f"{self.where}.{key} must be a number, not negative")
        return float(value)

    def items(self, key: str) -> list[tuple[str, object]]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise ScriptError(f"{self.where}.{key} must be a list")
        return [(f"{self.where}.{key}[{place}]", item) for place, item in enumerate(value)]
