"""From what a model said to the one program it meant, or to a sentence that teaches the form.

This module is pure. The text is hostile: it may have any size, nesting or characters, and
nothing of it is executed. Guarantees: never raises; what comes out as a program is text the
model wrote between its own marks, unchanged but for line ends, common indentation and
surrounding blank lines; nothing written inside `<think>` and nothing after an observation
the model made up becomes part of it.

Order: (1) refuse what cannot be a text, (2) hide thinking and invented observations,
(3) structured output `{"thought", "code"}`, (4) `<code>` blocks, (5) fenced blocks, (6) the
whole text, if it is Python and looks like it. The first form that is there decides.
"""

import ast
import json
import re
import textwrap
import warnings
from dataclasses import dataclass
from enum import StrEnum

MAX_REPLY_CHARS = 400_000
MAX_CODE_CHARS = 100_000
_MAX_TRIES = 40
"""Closing marks tried per block, where there is a choice; then the first one is taken."""
_MAX_MARKS = 500
_PARSE_BUDGET_CHARS = 2_000_000
"""Characters tried as Python per reply; a reply made to be tried for ever is taken as it is."""

TEACH_FORM = """\
Answer with a short thought and one program between <code> and </code>, like this:

I need the open orders first.
<code>
orders = list_orders(status="open")
print(len(orders))
</code>

When the task is done, end the program with final_answer(value)."""

CODE_RESPONSE_SCHEMA = {
    "type": "object",
    "properties": {
        "thought": {"type": "string", "description": "Why this is the next step."},
        "code": {"type": "string", "description": "The Python program of this step."},
    },
    "required": ["thought", "code"],
    "additionalProperties": False,
}
"""Structured output in which a model may answer instead of using marks."""

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_THINK_CLOSE = re.compile(r"</(?:think|thinking|reasoning|reflection)>", re.IGNORECASE)
_TAG_OPEN = re.compile(r"<(code|python)(?:\s[^<>\n]{0,80})?>", re.IGNORECASE)
_TAG_CLOSE = re.compile(r"</(?:code|python)\s*>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?P<run>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]{0,80})$", re.MULTILINE)
_INVENTED = re.compile(r"<observation\b|^[ \t]*Observation:", re.IGNORECASE | re.MULTILINE)
_MARKER = re.compile(
    r"(?P<tag><(?:code|python)(?:\s[^<>\n]{0,80})?>)"
    r"|(?P<fence>^[ \t]*(?:`{3,}|~{3,})[^\n`]{0,80}$)"
    r"|(?P<think><(?:think|thinking|reasoning|reflection)>)"
    r"|(?P<unthink></(?:think|thinking|reasoning|reflection)>)"
    r"|(?P<invented><observation\b|^[ \t]*Observation:)",
    re.IGNORECASE | re.MULTILINE,
)
_CODE_LABEL = re.compile(r"^[ \t]*(?:code|program|action)[ \t]*:[ \t]*$", re.I | re.MULTILINE)
_PYTHON_INFO = frozenset({"", "python", "py", "python3", "python 3", "tool_code", "ipython"})


class Form(StrEnum):
    """How the program was marked."""

    TAGS = "tags"
    FENCE = "fence"
    STRUCTURED = "structured"
    BARE = "bare"


class ProblemKind(StrEnum):
    EMPTY = "empty"
    NO_CODE = "no_code"
    CUT_OFF = "cut_off"
    TOO_LONG = "too_long"
    NOT_TEXT = "not_text"
    NOT_PYTHON = "not_python"


@dataclass(frozen=True, slots=True)
class Program:
    r"""What the model wants to run.

    Attributes:
        code: Python source with `\n` line ends; several blocks are joined by an empty line.
            It may still be no valid Python: `check_syntax` says so.
        thought: what the model said before its first block, stripped; untrusted prose.
        blocks: number of blocks it was joined from.
    """

    code: str
    thought: str
    form: Form = Form.TAGS
    blocks: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no program; `message` is written for the model."""

    kind: ProblemKind
    message: str


@dataclass(frozen=True, slots=True)
class _Block:
    form: Form
    code: str
    start: int
    end: int
    closed: bool


class _Trial:
    """Answers whether a text is Python, for a limited number of characters in all."""

    def __init__(self) -> None:
        self._left = _PARSE_BUDGET_CHARS

    def fits(self, code: str) -> bool:
        self._left -= len(code)
        return self._left < 0 or _syntax_fault(code) is None


def parse_code(text: str, *, truncated: bool = False) -> Program | Problem:
    """The program in a reply.

    Args:
        text: the reply as it came.
        truncated: the reply was cut at the token limit; a block without its end is then
            half a program and is not run.
    """
    refusal = _refuse(text)
    if refusal is not None:
        return refusal
    said = _newlines(text)
    structured = _structured(said)
    if structured is not None:
        return _limited(structured)
    blocks, shown = _scan(said)
    if truncated and (not blocks or not blocks[-1].closed):
        return _cut_off()
    if blocks:
        return _limited(_join(blocks, shown))
    whole = _bare(shown)
    return _limited(whole) if whole is not None else _no_code(shown)


def visible(text: str) -> str:
    """The reply as it is kept in the conversation: no thinking, nothing invented after it."""
    if _refuse(text) is not None:
        return text[:MAX_REPLY_CHARS]
    return _scan(_newlines(text))[1].strip()


def check_syntax(code: str) -> Problem | None:
    """What keeps a program from being Python, with the line and a caret, or None."""
    fault = _syntax_fault(code)
    if fault is None:
        return None
    return Problem(ProblemKind.NOT_PYTHON, f"The program is not valid Python.\n{fault}")


def _refuse(text: str) -> Problem | None:
    if not text.strip():
        return Problem(ProblemKind.EMPTY, f"Your reply was empty. {TEACH_FORM}")
    if len(text) > MAX_REPLY_CHARS:
        return Problem(
            ProblemKind.TOO_LONG,
            f"Your reply has {len(text)} characters; at most {MAX_REPLY_CHARS} are read. "
            "Do the work in several smaller steps.",
        )
    if _NOT_TEXT.search(text) is not None:
        return Problem(
            ProblemKind.NOT_TEXT,
            "Your reply holds characters that are no text (NUL or half of a character). "
            f"Write such characters as escapes in a string, for example '\\x00'. {TEACH_FORM}",
        )
    return None


def _newlines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _scan(text: str) -> tuple[list[_Block], str]:
    """The blocks in a reply, and the reply without thinking and inventions.

    Marks inside a block are text of that block. Block positions refer to the second value.
    """
    blocks: list[_Block] = []
    shown = ""
    at = 0
    trial = _Trial()
    for _ in range(_MAX_MARKS):
        mark = _MARKER.search(text, at)
        if mark is None:
            break
        shown += text[at : mark.start()]
        if mark["invented"] is not None:
            return blocks, shown
        if mark["think"] is not None:
            close = _THINK_CLOSE.search(text, mark.end())
            at = close.end() if close is not None else len(text)
        elif mark["unthink"] is not None:
            # Some chat templates swallow the opening tag: all before it was thinking.
            blocks, shown, at = [], "", mark.end()
        else:
            at, shown = _take_block(text, mark, blocks, shown, trial)
    return blocks, shown + text[at:]


def _take_block(
    text: str, mark: re.Match[str], blocks: list[_Block], shown: str, trial: _Trial
) -> tuple[int, str]:
    """Adds the block that begins at the mark; returns where to go on and what is shown."""
    found = (
        _tag_block(text, mark, trial)
        if mark["tag"] is not None
        else _fence_block(text, mark, trial)
    )
    if found is None:
        return mark.end(), shown + mark[0]
    form, code, end, closed = found
    start = len(shown)
    shown += text[mark.start() : end]
    if form is not None:
        blocks.append(_Block(form, code, start, len(shown), closed))
    return end, shown


_Found = tuple[Form | None, str, int, bool]


def _tag_block(text: str, mark: re.Match[str], trial: _Trial) -> _Found | None:
    """The block of an opening tag; None where the tag is only mentioned in prose."""
    start = mark.end()
    closes = _first(_TAG_CLOSE, text, start)
    end = closes[0].start() if closes else len(text)
    nested = _TAG_OPEN.search(text, start, end) is not None
    for close in closes if nested or len(closes) > 1 else ():
        code = _clean(text[start : close.start()], trial)
        if trial.fits(code):
            return Form.TAGS, code, close.end(), True
    if nested:
        return None
    code = _clean(text[start:end], trial)
    if not code or (not closes and "\n" not in text[start:end] and not _looks_like_code(code)):
        return None
    return Form.TAGS, code, closes[0].end() if closes else end, bool(closes)


def _fence_block(text: str, mark: re.Match[str], trial: _Trial) -> _Found | None:
    """The block of an opening fence; its form is None where it holds no Python."""
    opening = _FENCE.match(text, mark.start())
    if opening is None:
        return None
    start, run = opening.end() + 1, opening["run"]
    closing = re.compile(rf"^[ \t]*{re.escape(run[0])}{{{len(run)},}}[ \t]*$", re.MULTILINE)
    closes = _first(closing, text, start)
    info = opening["info"].strip().lower()
    if info not in _PYTHON_INFO:
        end = closes[0].end() if closes else len(text)
        return None, "", end, bool(closes)
    for close in closes if len(closes) > 1 else ():
        code = _clean(text[start : close.start()], trial)
        if trial.fits(code):
            return Form.FENCE, code, close.end(), True
    end = closes[0].start() if closes else len(text)
    code = _clean(text[start:end], trial)
    form = Form.FENCE if code and (info or trial.fits(code)) else None
    return form, code, closes[0].end() if closes else end, bool(closes)


def _first(pattern: re.Pattern[str], text: str, start: int) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    for match in pattern.finditer(text, start):
        found.append(match)
        if len(found) >= _MAX_TRIES:
            break
    return found


def _clean(code: str, trial: _Trial) -> str:
    """A block's text: without a mark nested in it, outer blank lines, common indentation."""
    code = code.strip("\n").rstrip()
    for _ in range(2):
        nested = _unwrapped(code)
        if nested is None:
            break
        code = nested
    if code[:1] in " \t" and not trial.fits(code):
        code = textwrap.dedent(code)
        if not trial.fits(code) and "\n" in code:
            # The first line followed its mark; the others carry the list's indentation.
            first, rest = code.split("\n", 1)
            code = first.strip() + "\n" + textwrap.dedent(rest)
    return code.strip("\n")


def _unwrapped(code: str) -> str | None:
    """The inside, where the whole block is one tag in a fence or one fence in a tag."""
    text = code.strip()
    opening = _TAG_OPEN.match(text)
    if opening is not None:
        closes = list(_TAG_CLOSE.finditer(text))
        whole = closes and closes[-1].end() == len(text)
        return text[opening.end() : closes[-1].start() if whole else None].strip("\n")
    fence = _FENCE.match(text)
    if fence is not None and fence["info"].strip().lower() in _PYTHON_INFO:
        inside = text[fence.end() :].removesuffix(fence["run"])
        return inside.strip("\n")
    return None


def _join(blocks: list[_Block], shown: str) -> Program:
    """One program: of the tagged blocks, or if there is none, of the fenced ones."""
    form = Form.TAGS if any(block.form is Form.TAGS for block in blocks) else Form.FENCE
    chosen = [block for block in blocks if block.form is form]
    code = "\n\n".join(block.code for block in chosen)
    return Program(code, _thought(shown[: chosen[0].start]), form, len(chosen))


def _thought(text: str) -> str:
    text = re.sub(r"^\s*Thought\s*:\s*", "", text, flags=re.IGNORECASE)
    return _CODE_LABEL.sub("", text).strip()


def _structured(text: str) -> Program | None:
    """The program of a JSON object with a `code` text; None for any other reply."""
    body = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*)\n```", body, re.DOTALL)
    body = fenced[1].strip() if fenced is not None else body
    if not body.startswith("{") or '"code"' not in body:
        return None
    try:
        value = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        return None
    if _refuse(value["code"]) is not None:
        return None
    code = _clean(_newlines(value["code"]), _Trial())
    thought = value.get("thought", value.get("thoughts"))
    return Program(code, thought.strip() if isinstance(thought, str) else "", Form.STRUCTURED)


def _bare(shown: str) -> Program | None:
    """The whole reply as a program, or what follows a line `Code:`; None if it is prose."""
    label = _CODE_LABEL.search(shown)
    parts = [("", shown)]
    if label is not None:
        parts.append((shown[: label.start()], shown[label.end() :]))
    for thought, rest in parts:
        code = _clean(rest, _Trial())
        if _looks_like_code(code):
            return Program(code, _thought(thought), Form.BARE)
    return None


def _looks_like_code(code: str) -> bool:
    """Whether it is Python that does something: `Done` and `yes, all` are Python as well."""
    tree = _tree(code)
    if not isinstance(tree, ast.Module):
        return False
    return any(_acts(statement) for statement in tree.body)


def _acts(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(statement))
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None
    inert = (ast.Pass, ast.Global, ast.Nonlocal, ast.Delete, ast.Return, ast.Import)
    return not isinstance(statement, inert)


def _tree(code: str) -> ast.Module | str:
    """The syntax tree, or what is wrong."""
    if len(code) > MAX_CODE_CHARS:
        return f"It has {len(code)} characters; at most {MAX_CODE_CHARS} are accepted."
    try:
        with warnings.catch_warnings():
            # A model's '\d' is its own affair; the warning would end up in our log.
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as fault:
        return _describe(fault, code)
    except (RecursionError, MemoryError):
        return "It is nested too deeply."
    except ValueError as fault:
        return str(fault)[:200]


def _syntax_fault(code: str) -> str | None:
    tree = _tree(code)
    return tree if isinstance(tree, str) else None


def _describe(fault: SyntaxError, code: str) -> str:
    """`line 3: invalid syntax`, the line and a caret under the place."""
    lines = code.split("\n")
    number = fault.lineno or 1
    source = lines[number - 1][:200] if 0 < number <= len(lines) else ""
    caret = " " * max(0, min((fault.offset or 1) - 1, len(source))) + "^"
    return f"line {number}: {fault.msg}\n    {source}\n    {caret}"


def _limited(program: Program) -> Program | Problem:
    if not program.code.strip():
        return Problem(ProblemKind.NO_CODE, f"The program in your reply is empty. {TEACH_FORM}")
    if len(program.code) > MAX_CODE_CHARS:
        return Problem(
            ProblemKind.TOO_LONG,
            f"The program has {len(program.code)} characters; at most {MAX_CODE_CHARS} are "
            "accepted. Do the work in several smaller steps.",
        )
    return program


def _cut_off() -> Problem:
    return Problem(
        ProblemKind.CUT_OFF,
        "Your reply was cut at the token limit before the program was complete, so nothing "
        "was run. Write a shorter program: do less in this step and go on in the next.",
    )


def _no_code(shown: str) -> Problem:
    if not shown.strip():
        return Problem(
            ProblemKind.EMPTY, f"Your reply ended while you were still thinking. {TEACH_FORM}"
        )
    return Problem(ProblemKind.NO_CODE, f"There is no program in your reply. {TEACH_FORM}")
