"""What the analysis found in a program, in words with the line: for its author and its reader.

A rule says why a program is held up; this says where. Reads the facts as they are stored with the
decision, so that the card, the run's page and the agent are told the same. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST = 12
"""As many are told to an agent; a person sees all of them."""

_WORDS: Final[Mapping[str, str]] = {
    # The program as a whole
    "analysis-failed": "the analysis failed ({name})",
    "deceptive-text": "a character that changes how the text is shown ({name})",
    "nul": "a NUL character",
    "too-complex": "too complex to analyse ({name})",
    "too-deep": "nested too deep ({name})",
    "too-large": "too large to analyse ({name})",
    "unparsable": "not valid Python: {name}",
    # What is not part of the language that programs may use
    "annotation-code": "an annotation that is run as code: {name}",
    "builtin-rebound": "the builtin {name} is given another meaning: choose another name",
    "computed-base": "a class whose base is computed: {name}",
    "computed-type": "a class that is made by a call",
    "dunder": "the special name {name}",
    "dynamic-code": "{name}, which programs may not use",
    "file-path": "a file outside the working folder, or whose place is not known: {name}",
    "format-attribute": "a format string that reads attributes: {name}",
    "import": "the import of {name}, which is not on the allowed list",
    "import-all": "the import of all that {name} holds: import names one by one",
    "introspection": "{name}, which reaches into the interpreter",
    "lookalike": "the name {name}, which looks like another",
    "module-as-value": "the module {name} used as a value",
    "module-attribute": "{name}, which programs may not use",
    "monkeypatch": "{name} of a module or type is changed",
    "private-attribute": "the private attribute {name}",
    "reflection": "{name} with a name that is not written out",
    "runs-text": "{name}, which runs text as code",
    "tool-as-value": "the tool {name} used otherwise than by calling it",
    "tool-rebound": "the name of the tool {name} is given another meaning",
    "unbound-module": "{name}, which was not imported",
    # What the analysis does not follow
    "async": "asynchronous code",
    "format-string": "a format string that is not written out: an f-string is",
    "interpreter-limit": "{name}, which changes a limit of the interpreter",
    "metaclass": "a metaclass or a keyword of a class: {name}",
    "module-rebound": "the import {name} is given another meaning: choose another name",
    "outside": "{name}, which the analysis does not know",
    "syntax": "syntax that the analysis does not know: {name}",
    "target": "an assignment that the analysis does not know: {name}",
    "unbound-call": "a call of {name}, which nothing defines",
    "unknown-syntax": "syntax that the analysis does not know: {name}",
    # What it follows only roughly
    "asynchronous": "asynchronous code",
    "class": "the keyword {name} of a class",
    "class-body": "a class body with more than fields and methods",
    "decorator": "the decorator {name}; a plain function or method is followed",
    "factory": "{name} with a function that computes",
    "generator": "a generator that may run later or elsewhere; a list is followed",
    "iterator": "{name} kept as a value that is used up later; a list and an index are followed",
    "library": "a part of the library that is not plain: {name}",
    "library-base": "a class based on {name}",
    "open-file": "a file that stays open; `with` closes it",
    "mangled-name": "the name {name}, which means another inside a class",
    "match": "a pattern that is computed",
    "method-as-value": "{name} used as a value, not called",
    "method-like-a-builtin": "a method named {name}, as builtin objects have it: name it otherwise",
    "outer-variable": "a variable outside the function is changed: {name}",
    "shadowed-builtin": "the builtin {name} is given another meaning: choose another name",
    "special-method": "the special method {name}, which runs without being called by its name",
    "spread": "arguments of {name} that are not written out",
    "stored-through-call": "the attribute {name} of what a call returns is changed",
    "two-names": "one value under two names: assign them one after the other",
    "unbound-method": "the method {name} called through its type",
}
KINDS: Final = frozenset(_WORDS)
_LISTS: Final = ("problems", "features", "unmodelled", "rough")


@dataclass(frozen=True)
class Remark:
    """One thing found.

    Attributes:
        line: from 1; 0 for what an earlier step of the run left.
        rough: whether it is followed, only not to the letter.
    """

    line: int
    text: str
    rough: bool = False

    @property
    def where(self) -> str:
        return f"line {self.line}" if self.line else "an earlier step"


def remarks(facts: Mapping[str, Any]) -> tuple[Remark, ...]:
    """Everything found, in the order of the lines; alike ones of a line once.

    Args:
        facts: as stored with a decision, of this or an earlier release; {} has none.
    """
    found = [_refused(each) for each in facts.get("imports", ()) if not each["allowed"]]
    for key in _LISTS:
        found += [_remark(each, rough=key == "rough") for each in facts.get(key, ())]
    return tuple(sorted(dict.fromkeys(found), key=lambda remark: (remark.line, remark.text)))


def _refused(imported: Mapping[str, Any]) -> Remark:
    module, name = imported["module"], imported["name"]
    kind = "import-all" if name == "*" else "import"
    told = f"{name} from {module}" if name and name != "*" else module
    return _remark({"kind": kind, "name": told, "line": imported["line"]})


def _remark(finding: Mapping[str, Any], *, rough: bool = False) -> Remark:
    kind, name = str(finding["kind"]), str(finding["name"])
    # A kind of an earlier or later release is told as it is.
    return Remark(
        int(finding["line"]), _WORDS.get(kind, f"{kind}: {{name}}").format(name=name), rough
    )


def in_words(found: Sequence[Remark]) -> str:
    """One line each, at most `MOST`; what stops a program comes before what is only rough."""
    ordered = sorted(found, key=lambda remark: remark.rough)
    lines = [f"- {remark.where}: {remark.text}" for remark in ordered[:MOST]]
    more = len(ordered) - len(lines)
    return "\n".join([*lines, *([f"- and {more} more"] if more > 0 else [])])


def notes(found: Iterable[Remark]) -> dict[int, str]:
    """Line of the program → what was found there."""
    lines: dict[int, str] = {}
    for remark in found:
        if remark.line:
            lines[remark.line] = "; ".join(filter(None, [lines.get(remark.line), remark.text]))
    return lines
