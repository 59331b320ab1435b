"""Reads a Google-style docstring: the description, `Args:` and `Returns:`. Pure."""

import inspect
import re
from dataclasses import dataclass

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Return|Yields|Raises|Attributes|Example|Examples|Note"
    r"|Notes|Warning|Warnings):\s*$"
)
_ENTRY = re.compile(r"^(?P<name>\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)$")
_ARGS = frozenset({"Args", "Arguments", "Parameters"})
_RETURNS = frozenset({"Returns", "Return"})


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring's parts, each as one text without line breaks inside paragraphs."""

    description: str
    arguments: dict[str, str]
    returns: str


def parse(text: str) -> Docstring:
    """The parts of a docstring; what is not there is empty."""
    sections = _sections(inspect.cleandoc(text))
    arguments: dict[str, str] = {}
    returns = ""
    for name, lines in sections.items():
        if name in _ARGS:
            arguments = _entries(lines)
        elif name in _RETURNS:
            returns = _flow(inspect.cleandoc("\n".join(["", *lines])).split("\n"))
    return Docstring(_flow(sections[""]), arguments, returns)


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    for line in text.split("\n"):
        heading = _SECTION.match(line)
        if heading is not None:
            current = sections.setdefault(heading[1], [])
        else:
            current.append(line)
    return sections


def _entries(lines: list[str]) -> dict[str, str]:
    """`name: text` entries; deeper indented lines continue the one before."""
    entries: dict[str, list[str]] = {}
    body = inspect.cleandoc("\n".join(["", *lines])).split("\n")
    current: list[str] | None = None
    for line in body:
        entry = _ENTRY.match(line) if not line.startswith((" ", "\t")) else None
        if entry is not None:
            current = entries.setdefault(entry["name"].lstrip("*"), [])
            current.append(entry["text"])
        elif current is not None:
            current.append(line)
    return {name: _flow(texts) for name, texts in entries.items()}


def _flow(lines: list[str]) -> str:
    """Lines as paragraphs: an empty line stays a break, other line ends become spaces."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line.strip())
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n\n".join(" ".join(words) for words in paragraphs if words)
