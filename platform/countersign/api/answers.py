"""What operations answer: their schemas by status, and pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from countersign.api.problems import ProblemOut

Answers = dict[int | tuple[int, ...], Any]


def says(schema: Any, *problems: int) -> Answers:  # noqa: ANN401 - a schema class
    """What an operation answers: `schema`, or one of these problems, or one any may have."""
    said: Answers = {200: schema}
    return said | dict.fromkeys((401, 403, *problems, 422, 429, 500, 503), ProblemOut)


def page(items: Sequence[Any], more: str = "") -> Mapping[str, Any]:
    """Some rows, and the cursor of those that follow."""
    return {"items": items, "next": more}
