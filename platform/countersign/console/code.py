"""Programs and differences as rows of highlighted code. Pure.

Everything here is text of strangers: it leaves through pygments or `escape`, never raw.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers.data import JsonLexer
from pygments.lexers.python import PythonLexer

_FORMAT = HtmlFormatter(nowrap=True)
_LEXERS: Mapping[str, type[Lexer]] = {"python": PythonLexer, "json": JsonLexer}
# A program this long is denied for its size; the bound keeps a hostile reply from costing seconds.
MAX_HIGHLIGHTED = 200_000

# Comparing costs time by the square of what is compared.
MAX_COMPARED = 2_000
MAX_WORDS = 300
ALIKE = 0.3
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

# Characters that show nothing, or change how the text around them is shown: controls (also those
# of terminals), marks of direction, joiners, blanks that are letters, tags, selectors of variants.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    # Of a sign or a keycap they say whether it is in colour; that is no hiding.
    "|(?<![\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f](?!\u20e3)"
)


@dataclass(frozen=True)
class Row:
    """One line. `kind` is "", "effect", "found", "wrong", "add", "cut" or "gap"."""

    number: int | None
    html: SafeString
    kind: str = ""
    note: str = ""


def rows(
    text: str,
    *,
    language: str = "python",
    effects: Mapping[int, str] | None = None,
    found: Mapping[int, str] | None = None,
    wrong: int | None = None,
) -> list[Row]:
    """Highlighted lines.

    Args:
        text: the program.
        language: a key of `_LEXERS`; anything else is shown plain.
        effects: line (from 1) → note for lines that make effects.
        found: line → what the analysis found there.
        wrong: the line an error came from.
    """
    marked, remarked = effects or {}, found or {}
    shown = []
    for number, line in enumerate(_lines(text, language), start=1):
        kind = "effect" if number in marked else "found" if number in remarked else ""
        note = "; ".join(filter(None, [marked.get(number), remarked.get(number)]))
        shown.append(Row(number, line, "wrong" if number == wrong else kind, visible(note)))
    return shown


def difference(old: str, new: str) -> list[Row]:
    """What changed from one text to the next, with three lines around each change.

    In a line that takes the place of another, the words that differ are marked.
    """
    before, after = visible(old).splitlines(), visible(new).splitlines()
    if max(len(before), len(after)) > MAX_COMPARED:
        return _cut(before, 0) + _add(after, 0)
    found: list[Row] = []
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for index, group in enumerate(matcher.get_grouped_opcodes(3)):
        if index or group[0][1]:
            found.append(Row(None, _plain("…"), "gap"))
        for kind, a1, a2, b1, b2 in group:
            if kind == "equal":
                found += [Row(b1 + n + 1, _plain(t)) for n, t in enumerate(after[b1:b2])]
            elif kind == "replace" and a2 - a1 == b2 - b1:
                pairs = [_marked(*pair) for pair in zip(before[a1:a2], after[b1:b2], strict=True)]
                found += [Row(a1 + n + 1, one, "cut", "-") for n, (one, _) in enumerate(pairs)]
                found += [Row(b1 + n + 1, one, "add", "+") for n, (_, one) in enumerate(pairs)]
            else:
                found += _cut(before[a1:a2], a1) + _add(after[b1:b2], b1)
    return found


def _cut(lines: Sequence[str], start: int) -> list[Row]:
    return [Row(start + n + 1, _plain(line), "cut", "-") for n, line in enumerate(lines)]


def _add(lines: Sequence[str], start: int) -> list[Row]:
    return [Row(start + n + 1, _plain(line), "add", "+") for n, line in enumerate(lines)]


def _marked(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Two lines with the words that differ marked in each; long or unlike ones stay plain."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if max(len(before), len(after)) > MAX_WORDS:
        return _plain(old), _plain(new)
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    if matcher.ratio() < ALIKE:
        return _plain(old), _plain(new)
    return (
        _parts(
            [
                ("".join(before[a1:a2]), kind != "equal")
                for kind, a1, a2, _, _ in matcher.get_opcodes()
            ]
        ),
        _parts(
            [
                ("".join(after[b1:b2]), kind != "equal")
                for kind, _, _, b1, b2 in matcher.get_opcodes()
            ]
        ),
    )


def _parts(parts: Sequence[tuple[str, bool]]) -> SafeString:
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<mark>{}</mark>", _plain(t)) if hit else _plain(t),)
            for t, hit in parts
            if t
        ),
    )


def effect_lines(
    sites: Sequence[Mapping[str, object]], numbers: Mapping[str, str]
) -> dict[int, str]:
    """Line → note, for the call sites of a program's facts that write.

    Args:
        sites: `calls` of the facts.
        numbers: tool → words for the effects it makes, such as "effects 1 to 12".
    """
    marked: dict[int, str] = {}
    for site in sites:
        line, tool = site.get("line"), str(site.get("tool", ""))
        if site.get("effect") == "write" and isinstance(line, int):
            marked[line] = numbers.get(tool, "effect")
    return marked


def visible(text: str) -> str:
    """Show characters that hide or reorder others, so that what is read is what runs."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def _lines(text: str, language: str) -> list[SafeString]:
    shown = visible(text)
    lexer = _LEXERS.get(language)
    if lexer is None or len(shown) > MAX_HIGHLIGHTED:
        return [_plain(line) for line in shown.splitlines()]
    html = highlight(shown, lexer(stripnl=False, ensurenl=False), _FORMAT)
    # pygments has escaped every character of the program.
    return [mark_safe(line) for line in html.splitlines()]  # noqa: S308


def _plain(line: str) -> SafeString:
    return escape(visible(line))


def from_unified(line: str) -> Row:
    """One line of a unified difference."""
    if line.startswith("@@"):
        return Row(None, _plain("…"), "gap")
    kind = {"+": "add", "-": "cut"}.get(line[:1], "")
    return Row(None, _plain(line[1:]), kind, line[:1] if kind else "")
