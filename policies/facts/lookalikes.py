"""Names that look like other names: "send_email" with a Cyrillic first letter."""

import unicodedata
from typing import Final

# Letters of other scripts that common fonts draw like Latin ones (Unicode TS 39, excerpt).
_PAIRS: Final = (
    "аa вb еe ёe іi їi јj кk ӏl мm нh оo рp сc тt уy хx ѕs һh ԁd ԛq ԝw ьb гr пn "  # noqa: RUF001
    "αa βb γy εe ζz ηn ιi κk νv οo ρp τt υu χx ωw ıi ʟl"  # noqa: RUF001
)
_TWINS: Final = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}


def lookalike(name: str) -> str:
    """The ASCII name that `name` could be taken for."""
    plain = unicodedata.normalize("NFKD", name.lower()).translate(_TWINS)
    return "".join(letter for letter in plain if letter.isascii())
