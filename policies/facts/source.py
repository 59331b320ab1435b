"""From text to a syntax tree, for text that may be hostile.

Refused before parsing: more than `MAX_BYTES`, NUL, characters that are not text, characters
that make the shown program differ from the run one. CPython's own parser refuses absurd
nesting with an exception; scopes.py then limits the depth and size of the tree.
"""

import ast
import re
import warnings
from dataclasses import dataclass

from policies.facts.record import Finding

MAX_BYTES = 200_000

# Bidirectional controls reorder what a reviewer reads (CVE-2021-42574, "Trojan Source"); tag
# characters are text that only a machine sees. Joiners stay: emoji and Persian need them.
_DECEPTIVE = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")

# What the parser warns of: unknown escapes, and a number that runs into a keyword (`1if x`).
# Tried only where a number begins: at each digit of a long one it would take minutes.
_MAY_WARN = re.compile(r"\\|\b\d[\da-fA-F_xXoObBjJeE]*(?:and|else|for|if|in|is|not|or)\b")


@dataclass(frozen=True)
class Source:
    """A parsed program, or the problems that stopped parsing."""

    tree: ast.Module | None
    problems: tuple[Finding, ...]
    lines: int


def parse(code: str) -> Source:
    """Parses `code`; whatever it holds, the answer is a value, never an exception."""
    refused = _refusal(code)
    if refused:
        return Source(None, (refused,), 0)
    try:
        if _MAY_WARN.search(code):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a SyntaxWarning is the author's, not ours
                tree = ast.parse(code)
        else:
            tree = ast.parse(code)
    except SyntaxError as error:
        finding = Finding(
            "unparsable", str(error.msg)[:200], error.lineno or 1, max((error.offset or 1) - 1, 0)
        )
        return Source(None, (finding,), 0)
    except (RecursionError, MemoryError):  # which of them is a matter of the stack's height
        return Source(None, (Finding("too-deep", "too deep to parse", 1, 0),), 0)
    except (ValueError, OverflowError) as error:
        return Source(None, (Finding("unparsable", type(error).__name__, 1, 0),), 0)
    return Source(tree, (), code.count("\n") + 1)


def _refusal(code: str) -> Finding | None:
    if len(code) > MAX_BYTES:
        return Finding("too-large", f"over {MAX_BYTES} characters", 1, 0)
    if "\0" in code:
        return Finding("nul", "NUL character", code.count("\n", 0, code.index("\0")) + 1, 0)
    if code.isascii():
        return None
    try:
        code.encode()
    except UnicodeEncodeError:
        return Finding("unparsable", "text is not valid Unicode", 1, 0)
    deceptive = _DECEPTIVE.search(code)
    if deceptive:
        line = code.count("\n", 0, deceptive.start()) + 1
        return Finding("deceptive-text", f"U+{ord(deceptive.group()):04X}", line, 0)
    return None
