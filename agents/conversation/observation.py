"""What the agent is told of a step: one bounded text, in plain words. Pure.

Guarantees: at most `limit_chars` characters, every cut named with what is missing, beginning and
end kept; whatever a program printed or a person wrote stays recognisable as that; nothing that is
told here decides anything.
"""

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

DEFAULT_LIMIT_CHARS = 20_000
_MARK_CHARS = 60
_NOT_DONE_TWICE = "Calls that were already done stay done: do not repeat them."
_AS_BEFORE = f"Variables are as they were before this step. {_NOT_DONE_TWICE}"

_LIMITS = {
    "limit_time": "The program was stopped: it ran longer than one step may. Do less in a step, "
    "and look for a loop that does not end.",
    "limit_memory": "The program was stopped: it used more memory than a step may. Work on "
    "smaller pieces and keep only what you need.",
    "limit_output": "The program was stopped: it printed more than a step may. Print counts, "
    "totals and a few rows instead of everything.",
    "jail_killed": "The program was stopped from outside before its end.",
}


class StepError(Protocol):
    """An exception of the program. `line` counts from 1; 0 or None where unknown."""

    @property
    def type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def line(self) -> int | None: ...
    @property
    def source_line(self) -> str | None: ...
    @property
    def hint(self) -> str: ...


class ExecutedStep(Protocol):
    """What a jail reports of a step: `agents.sandbox` gives such objects."""

    @property
    def status(self) -> str: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stdout_bytes(self) -> int: ...
    @property
    def value(self) -> Any: ...  # noqa: ANN401 - any JSON value
    @property
    def error(self) -> StepError | None: ...
    @property
    def calls(self) -> int: ...


def render(
    result: ExecutedStep,
    *,
    limit_chars: int = DEFAULT_LIMIT_CHARS,
    imports: Collection[str] = (),
    names: Collection[str] = (),
) -> str:
    """The observation of a program that ran.

    Args:
        result: what the jail reported; untrusted in every part.
        limit_chars: longest text.
        imports: what the program may import, told where an import failed.
        names: tools and variables, searched for the one that was meant.
    """
    share = limit_chars // 4
    error = result.error
    tail = [_value(result.value, share), _ending(result, error, imports, names, share)]
    told = [part for part in tail if part]
    room = limit_chars - sum(len(part) + 1 for part in told) - _MARK_CHARS
    printed = _printed(result, max(room, share), error is not None)
    if not printed and not told:
        return "The program ran to its end. It printed nothing and its last line has no value."
    return cut("\n".join([*([printed] if printed else []), *told]), limit_chars)


def with_files(
    told: str, kept: Sequence[tuple[str, int]], skipped: Sequence[tuple[str, str]]
) -> str:
    """An observation with what became of the files in `out/`: kept with bytes, or not and why."""
    lines = [f"Kept from out/: {name} ({size} bytes)" for name, size in kept]
    lines += [f"Not kept from out/: {name}: {why}" for name, why in skipped]
    return "\n".join([told, *lines])


def refused(explanation: str) -> str:
    """A program that the policy did not let run.

    Args:
        explanation: the rules that refused it, with their reasons.
    """
    return (
        f"The program was not run, because the policy refused it.\n{explanation}\n"
        "Do not try the same again in other words. Find a way that the rule allows, or finish "
        "with final_answer and say what could not be done."
    )


def answer_refused(why: str) -> str:
    """A final answer that was not accepted; the run goes on."""
    return (
        f"The program ran, but its final answer was not accepted.\n{why}\n"
        f"Correct it and call final_answer again. {_NOT_DONE_TWICE}"
    )


def rejected(title: str, name: str, comment: str) -> str:
    """A plan or program that a person did not sign.

    Args:
        title: what was to be signed.
        name: who said no.
        comment: their words, told as data.
    """
    told = f"A reviewer did not sign this, so nothing of it was done: {title}\n"
    if comment.strip():
        told += f"{name} wrote:\n{quoted(comment)}\n"
    return told + "Change the plan accordingly, or finish and explain what could not be done."


def edited(name: str, comment: str) -> str:
    """A program that a reviewer replaced by another one, which runs next.

    Args:
        name: who wrote the other one.
        comment: their words, told as data.
    """
    told = f"{name}, a reviewer, did not sign this and wrote another program in its place.\n"
    if comment.strip():
        told += f"{name} wrote:\n{quoted(comment)}\n"
    return (
        told + "Nothing of your program was done; the other one comes next, as if you had sent it."
    )


def already_done(calls: Sequence[str]) -> str:
    """An addition to another observation: effects of the step that happened before it ended."""
    return f"\nThese calls of the step were already done. Do not repeat them:\n{_listed(calls)}"


def manifest_broken(why: str, done: Sequence[str], undone: Sequence[str]) -> str:
    """A signed plan that ended early: what happened of it and what will not."""
    return "\n".join(
        [
            f"The signed plan was stopped before its end: {why}",
            "Done, do not repeat:" if done else "Nothing of it was done.",
            *([_listed(done)] if done else []),
            *(["Not done, and no longer signed:", _listed(undone)] if undone else []),
            "Variables are as they were before this step. If something is still needed, plan it "
            "again in a new program.",
        ]
    )


def quoted(text: str) -> str:
    """Somebody's words, each line marked as theirs."""
    return "\n".join(f"> {line}" for line in text.strip().splitlines())


def cut(text: str, limit_chars: int) -> str:
    """The text, or its beginning and end with what is missing named between them."""
    if len(text) <= limit_chars:
        return text
    room = max(0, limit_chars - _MARK_CHARS)
    head, tail = room - room // 3, room // 3
    left_out = len(text) - head - tail
    mark = f"\n[… {left_out} of {len(text)} characters left out here …]\n"
    return (text[:head] + mark + (text[-tail:] if tail else ""))[:limit_chars]


def _printed(result: ExecutedStep, room: int, failed: bool) -> str:
    text = result.stdout.rstrip("\n")
    if not text:
        return ""
    heading = "Printed before the error:" if failed else "Printed:"
    lost = result.stdout_bytes - len(result.stdout.encode("utf-8", "replace"))
    note = f"\n[… {lost} more bytes were printed and not kept …]" if lost > 0 else ""
    return f"{heading}\n{cut(text, room - len(heading) - len(note))}{note}"


def _value(value: Any, room: int) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, Mapping) and set(value) == {"repr"} and isinstance(value["repr"], str):
        text = value["repr"]
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return f"Value of the last line: {cut(text, room)}"


def _ending(
    result: ExecutedStep,
    error: StepError | None,
    imports: Collection[str],
    names: Collection[str],
    room: int,
) -> str:
    status = str(result.status)
    if status in _LIMITS:
        detail = f"\n{cut(error.message, room // 2)}" if error and error.message else ""
        return f"{_LIMITS[status]}{detail}\n{_AS_BEFORE}"
    if error is not None:
        return _failed(result, error, imports, names, room)
    if status == "stopped":
        return f"The program was stopped before its end. {_NOT_DONE_TWICE}"
    return ""


def _failed(
    result: ExecutedStep,
    error: StepError,
    imports: Collection[str],
    names: Collection[str],
    room: int,
) -> str:
    where = f" in line {error.line}" if error.line else ""
    lines = [f"Error{where}: {error.type}: {cut(error.message, room)}"]
    source = (error.source_line or "").strip()
    if source:
        lines.append(f"    {cut(source, 300)}")
    hint = error.hint or _hint(error, imports, names)
    if hint:
        lines.append(f"Hint: {cut(hint, 1_000)}")
    if error.type != "SyntaxError":
        lines.append("What the lines before it set stays set.")
    if result.calls:
        lines.append(f"The program had made {result.calls} tool calls. {_NOT_DONE_TWICE}")
    return "\n".join(lines)


def _hint(error: StepError, imports: Collection[str], names: Collection[str]) -> str:
    if error.type in ("ImportError", "ModuleNotFoundError") and imports:
        return f"you may import {', '.join(sorted(imports))}"
    missing = re.search(r"name '(\w{1,100})' is not defined", error.message)
    if missing is not None:
        close = difflib.get_close_matches(missing[1], list(names), n=3)
        return f"did you mean {' or '.join(close)}?" if close else ""
    return ""


def _listed(calls: Sequence[str]) -> str:
    shown = [f"- {cut(call, 500)}" for call in calls[:100]]
    return "\n".join([*shown, *([f"- and {len(calls) - 100} more"] if len(calls) > 100 else [])])
