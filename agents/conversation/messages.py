"""Builds what the model reads, from nothing but stored steps. Pure and deterministic.

Guarantees: the same agent version, task and steps give the same messages on any worker; each
program stands in them once; everything that came from outside is framed, and nothing inside a
frame can end it or open another; no secret is in it, since no step, input or stub holds one; what
is cut is named. If the conversation grows past its budget, in this order: observations of older
steps are shortened, oldest first; then whole older steps are left out, with the names of the
variables they set; then the last observation is shortened.

Frames are `<task>`, `<inputs>`, `<files>`, `<observation>`. In framed text the bracket of such a
tag is replaced by `&lt;`, which a reader still understands; so is that of the marks with which chat
templates of models begin a turn (`<|im_start|>`, `[INST]`), which many servers read in any text.
"""

import ast
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import prompts
from agents.conversation import parsing
from agents.conversation.observation import cut
from agents.conversation.sightings import Spoken
from agents.llm.chat import ChatRequest, Message, Role, estimate_messages, estimate_tokens
from agents.llm.endpoint import DEFAULT_CONTEXT_TOKENS, DEFAULT_MAX_OUTPUT_TOKENS

if TYPE_CHECKING:
    from agents.models import Run, Step
    from agents.session import Session

STOP = ("<observation",)
"""The model has to stop where it would invent an observation."""

MAX_INPUT_CHARS = 8_000
MAX_INVALID_REPLY_CHARS = 4_000
SHORT_OBSERVATION_CHARS = 600
_MAX_NAMES = 60
_BLANK = r"[\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*"
_FRAME = re.compile(
    rf"[<\uff1c](?={_BLANK}/?{_BLANK}(?:task|inputs|files|observation)\b)", re.IGNORECASE
)
_TURN = re.compile(
    r"<(?=[|\uff5c][^<>|\uff5c\n]{1,60}[|\uff5c]>|/?s>|<?/?SYS>>|(?:start|end)_of_turn>)"
    r"|\[(?=/?INST\])"
)


@dataclass(frozen=True, slots=True)
class Briefing:
    """What an agent version says to its model.

    Attributes:
        agent: its name.
        instructions: the operator's own words, trusted; may be empty.
        stubs: each tool as Python, from `agents.tools.stubs`.
        imports: modules its programs may import.
        max_steps: limit of the run.
    """

    agent: str
    instructions: str
    stubs: tuple[str, ...]
    imports: tuple[str, ...]
    max_steps: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is to do.

    Attributes:
        goal: the requester's words.
        inputs: variables set before the first program; JSON, never a secret.
        checks: sentences that must be true of the answer.
        files: what the program finds in `in/`, one line each.
    """

    goal: str
    inputs: Mapping[str, Any]
    checks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A finished step, as stored.

    Attributes:
        number: from 1.
        reply: the model's words as they came.
        code: the program parsed from them, or "".
        observation: what the agent was told.
    """

    number: int
    reply: str
    code: str
    observation: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages for a model.

    Attributes:
        tokens: estimate, erring upwards.
        shortened: numbers of the steps whose observation was shortened.
        left_out: numbers of the steps that are not in it.
        fits: False where even the shortest form exceeds the budget.
        prompt_digest: version of the prompt texts.
    """

    messages: tuple[Message, ...]
    tokens: int
    shortened: tuple[int, ...]
    left_out: tuple[int, ...]
    fits: bool
    prompt_digest: str


def messages(
    briefing: Briefing,
    task: Task,
    steps: Sequence[StepRecord],
    *,
    budget_tokens: int,
    prompt: prompts.PromptSet | None = None,
) -> Conversation:
    """The conversation so far.

    Args:
        briefing: the agent version.
        task: the run.
        steps: all finished steps, in order.
        budget_tokens: what the model can read, without room for its reply.
        prompt: the texts; the package's own for code mode by default.
    """
    texts = prompt or prompts.load()
    opening = [
        Message(Role.SYSTEM, _system(texts, briefing)),
        Message(Role.USER, _opening(texts, task)),
    ]
    room = budget_tokens - estimate_messages(opening)
    turns = [_Turn.of(step) for step in steps]
    shortened = _shorten(turns, room)
    left_out = _leave_out(turns, room)
    kept = turns[len(left_out) :]
    if left_out:
        opening[1] = Message(Role.USER, opening[1].content + _gap(steps[: len(left_out)]))
        room = budget_tokens - estimate_messages(opening)
    if kept and _cost(kept) > room:
        kept[-1] = kept[-1].shorter(room - _cost(kept[:-1]))
        shortened.append(kept[-1].number)
    said = [*opening, *(message for turn in kept for message in turn.messages())]
    tokens = estimate_messages(said)
    return Conversation(
        messages=tuple(said),
        tokens=tokens,
        shortened=tuple(n for n in sorted(set(shortened)) if n not in left_out),
        left_out=tuple(left_out),
        fits=tokens <= budget_tokens,
        prompt_digest=texts.digest,
    )


def chat_request(session: "Session", *, cancelled: Callable[[], bool]) -> ChatRequest:
    """The next question of a run to its model, rebuilt from what the session read."""
    version, run = session.version, session.run
    settings = version.endpoint.settings
    output = settings.get("max_output_tokens", DEFAULT_MAX_OUTPUT_TOKENS)
    budget = settings.get("context_tokens", DEFAULT_CONTEXT_TOKENS) - output
    said = messages(
        _briefing(session), _task(run), list(map(_record, session.steps)), budget_tokens=budget
    )
    return ChatRequest(
        messages=said.messages,
        model=version.endpoint.model,
        max_output_tokens=output,
        stop=STOP,
        cancelled=cancelled,
    )


def opening(session: "Session") -> tuple[Spoken, Spoken]:
    """What every prompt of the run begins with, but for the package's own words."""
    own = _briefing(session)
    said = "\n\n".join([own.agent, own.instructions, *own.stubs, *own.imports])
    return Spoken("instructions", 0, said), task(session.run)


def task(run: "Run") -> Spoken:
    """What the model is told of the task, with its inputs and the names of its files."""
    return Spoken("task", 0, _opening(prompts.load(), _task(run)))


def turn(step: "Step") -> tuple[Spoken, Spoken]:
    """The two messages of a finished step, before anything of them is cut to fit."""
    reply, result = _Turn.of(_record(step)).messages()
    return (
        Spoken("reply", step.number, reply.content),
        Spoken("result", step.number, result.content),
    )


def _briefing(session: "Session") -> Briefing:
    version = session.version
    return Briefing(
        agent=version.agent.name,
        instructions=version.instructions,
        stubs=tuple(tool.shown for tool in session.tools.values()),
        imports=tuple(sorted(session.imports)),
        max_steps=session.limits.steps,
    )


def _task(run: "Run") -> Task:
    return Task(
        run.goal,
        run.inputs,
        tuple(str(check.get("says", "")) for check in run.agent_version.checks),
        tuple(f"in/{f['name']} ({f['media_type']}, {f['bytes']} bytes)" for f in run.files),
    )


def _record(step: "Step") -> StepRecord:
    return StepRecord(step.number, step.reply, step.code, step.observation)


def framed(text: str) -> str:
    """The text with frame tags, and marks of turns, made harmless."""
    return _TURN.sub(lambda match: f"&#{ord(match[0])};", _FRAME.sub("&lt;", text))


@dataclass(slots=True)
class _Turn:
    """One step as two messages, and what they cost."""

    number: int
    reply: str
    observation: str

    @classmethod
    def of(cls, step: StepRecord) -> "_Turn":
        reply = parsing.visible(step.reply) or "(an empty reply)"
        if not step.code:
            reply = cut(reply, MAX_INVALID_REPLY_CHARS)
        return cls(step.number, reply, framed(step.observation))

    def messages(self) -> tuple[Message, Message]:
        observed = f'<observation step="{self.number}">\n{self.observation}\n</observation>'
        return Message(Role.ASSISTANT, self.reply), Message(Role.USER, observed)

    def shorter(self, room: int) -> "_Turn":
        """The same with its observation cut to fit, as far as that is possible."""
        spare = room - (self.cost - estimate_tokens(self.observation)) - 1
        # A character has at most four bytes, a token is counted as three of them.
        limit = max(SHORT_OBSERVATION_CHARS // 4, spare * 3 // 4)
        return _Turn(self.number, self.reply, cut(self.observation, limit))

    @property
    def cost(self) -> int:
        return estimate_messages(self.messages())


def _cost(turns: Sequence[_Turn]) -> int:
    return sum(turn.cost for turn in turns)


def _shorten(turns: list[_Turn], room: int) -> list[int]:
    """Shortens older observations in place until all fit; returns the numbers."""
    shortened: list[int] = []
    total = _cost(turns)
    for place, turn in enumerate(turns[:-1]):
        if total <= room:
            break
        if len(turn.observation) > SHORT_OBSERVATION_CHARS:
            short = cut(turn.observation, SHORT_OBSERVATION_CHARS)
            turns[place] = _Turn(turn.number, turn.reply, short)
            total -= turn.cost - turns[place].cost
            shortened.append(turn.number)
    return shortened


def _leave_out(turns: Sequence[_Turn], room: int) -> list[int]:
    """Numbers of the oldest steps to leave out; never the last one."""
    total = _cost(turns)
    left_out: list[int] = []
    for turn in turns[:-1]:
        if total <= room:
            break
        total -= turn.cost
        left_out.append(turn.number)
    return left_out


def _gap(steps: Sequence[StepRecord]) -> str:
    first, last = steps[0].number, steps[-1].number
    which = f"Step {first} is" if first == last else f"Steps {first} to {last} are"
    names = sorted({name for step in steps for name in _names(step.code)})
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    still = f" Names they set, which may still be there: {shown}." if names else ""
    return f"\n\n[{which} left out here, because the conversation grew too long.{still}]"


def _names(code: str) -> set[str]:
    """Names a program binds at its top level."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For):
            names |= {node.id for node in ast.walk(statement) if _binds(node)}  # type: ignore[attr-defined]
    return names


def _binds(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _system(texts: prompts.PromptSet, briefing: Briefing) -> str:
    instructions = briefing.instructions.strip()
    return texts.fill(
        "system",
        {
            "agent": briefing.agent,
            "imports": ", ".join(f"`{name}`" for name in briefing.imports) or "nothing",
            "tools": _tools(briefing.stubs),
            "instructions": f"# Instructions of your operator\n\n{instructions}\n\n"
            if instructions
            else "",
            "examples": texts.texts["examples"],
            "max_steps": str(briefing.max_steps),
        },
    )


def _tools(stubs: Sequence[str]) -> str:
    final = (
        "def final_answer(value) -> None:\n"
        '    """Ends the run with this answer. Nothing after it is run."""'
    )
    return "```python\n" + "\n\n".join([*stubs, final]) + "\n```"


def _opening(texts: prompts.PromptSet, task: Task) -> str:
    values = {
        "goal": framed(task.goal.strip()),
        "inputs": _inputs(task.inputs) + _files(task.files),
        "checks": _checks(task.checks),
    }
    return texts.fill("task", values).rstrip()


def _inputs(inputs: Mapping[str, Any]) -> str:
    if not inputs:
        return ""
    lines = [
        f"{name} = {cut(json.dumps(inputs[name], ensure_ascii=False, indent=1), MAX_INPUT_CHARS)}"
        for name in sorted(inputs)
    ]
    shown = framed("\n".join(lines))
    return f"\n<inputs>\nThese variables are set for your first program:\n{shown}\n</inputs>\n"


def _files(files: Sequence[str]) -> str:
    if not files:
        return ""
    shown = framed("\n".join(files))
    return f"\n<files>\nThese files are there to read:\n{shown}\n</files>\n"


def _checks(checks: Sequence[str]) -> str:
    said = [check for check in checks if check]
    if not said:
        return ""
    return "\nYour answer is accepted only if:\n" + "\n".join(
        f"- {framed(check)}" for check in said
    )
