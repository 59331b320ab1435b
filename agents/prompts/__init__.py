"""Prompts as data: the texts lie beside this file, versioned by the hash of their content.

A text holds places `{{name}}`. Filling is strict both ways: a place without a value and a value
without a place are errors, and what is filled in is never read for places again, so a value
cannot pull in another.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_NAME = re.compile(r"[a-z_]{1,40}")


class PromptError(ValueError):
    """A prompt set is incomplete, or filled with the wrong values; a fault of ours."""


@dataclass(frozen=True)
class PromptSet:
    """The texts of one way of prompting.

    Attributes:
        name: its folder, such as `code`.
        texts: file name without ending → text.
        digest: SHA-256 hex over names and texts; another digest is another version.
    """

    name: str
    texts: Mapping[str, str]
    digest: str

    def fill(self, text: str, values: Mapping[str, str]) -> str:
        """One text with its places filled.

        Raises:
            PromptError: places and values do not agree.
        """
        template = self.texts.get(text)
        if template is None:
            raise PromptError(f"prompt set {self.name} has no text {text}")
        places = set(_PLACE.findall(template))
        if places != set(values):
            wrong = ", ".join(sorted(places ^ set(values)))
            raise PromptError(f"{self.name}/{text}: places and values differ: {wrong}")
        return _PLACE.sub(lambda place: values[place[1]], template)


@functools.cache
def load(name: str = "code") -> PromptSet:
    """A prompt set of this package.

    Raises:
        PromptError: there is none of this name.
    """
    folder = _HERE / name
    if _NAME.fullmatch(name) is None or not folder.is_dir():
        raise PromptError(f"there is no prompt set {name!r}")
    texts = {path.stem: path.read_text("utf-8").strip() for path in sorted(folder.glob("*.md"))}
    return PromptSet(name, texts, _digest(texts))


def _digest(texts: Mapping[str, str]) -> str:
    content = hashlib.sha256()
    for name in sorted(texts):
        for part in (name, texts[name]):
            data = part.encode()
            content.update(len(data).to_bytes(8, "big") + data)
    return content.hexdigest()
