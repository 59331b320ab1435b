"""An inclusion proof as a picture: the way from one entry up to the root that is signed. Pure.

The entry stands at the bottom. On each level its hash is joined with that of its neighbour, drawn
on the side on which it stands in the tree. Long ways are drawn with their middle left out: every
level looks the same, and the table beside the picture has them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.selectors import ProofStep

WIDTH = 420
BOX_WIDTH, BOX_HEIGHT = 112, 34
LEVEL = 66
LEFT, MIDDLE, RIGHT = 62, 210, 358
MOST_DRAWN = 6
HEAD, TAIL = 3, 2
"""Levels drawn above the entry and below the root where the middle is left out."""
SHOWN_DIGITS = 8


@dataclass(frozen=True)
class Box:
    """One hash; `kind` is "leaf", "way", "root" or "beside"."""

    x: int
    y: int
    text: str
    kind: str

    @property
    def left(self) -> int:
        return self.x - BOX_WIDTH // 2

    @property
    def top(self) -> int:
        return self.y - BOX_HEIGHT // 2


@dataclass(frozen=True)
class Edge:
    """A line up from one box to another; `kind` is "way", "beside" or "gap"."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str


@dataclass(frozen=True)
class Note:
    """A word beside a box; `side` "start" stands right of it, "end" left of it."""

    x: int
    y: int
    text: str
    side: str


@dataclass(frozen=True)
class Drawing:
    """What the template draws; sizes in the picture's own units."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    height: int
    left_out: int
    gap_y: int
    notes: tuple["Note", ...]
    width: int = WIDTH
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def draw(steps: Sequence[ProofStep]) -> Drawing | None:
    """The picture of a proof; None for a tree of one entry, which is its own root."""
    if not steps:
        return None
    short = len(steps) <= MOST_DRAWN
    shown = list(steps) if short else [*steps[:HEAD], *steps[-TAIL:]]
    left_out = len(steps) - len(shown)
    levels = len(shown) + (0 if short else 1)
    height = levels * LEVEL + BOX_HEIGHT + 2
    boxes, edges, gap_y = [], [], 0
    y = height - BOX_HEIGHT // 2 - 1
    boxes.append(Box(MIDDLE, y, _short(steps[0].node), "leaf"))
    for number, step in enumerate(shown):
        if not short and number == HEAD:
            gap_y = y - LEVEL // 2
            edges.append(Edge(MIDDLE, _top(y), MIDDLE, _bottom(y - LEVEL), "gap"))
            y -= LEVEL
            boxes.append(Box(MIDDLE, y, _short(step.node), "way"))
        side = LEFT if step.sibling_left else RIGHT
        above = y - LEVEL
        boxes.append(Box(side, y, _short(step.sibling), "beside"))
        edges.append(Edge(MIDDLE, _top(y), MIDDLE, _bottom(above), "way"))
        edges.append(Edge(side, _top(y), MIDDLE, _bottom(above), "beside"))
        last = number == len(shown) - 1
        boxes.append(Box(MIDDLE, above, _short(step.result), "root" if last else "way"))
        y = above
    notes = (
        _note("this entry", boxes[0].y, on_left=not steps[0].sibling_left),
        _note("root, signed", y, on_left=False),
    )
    return Drawing(tuple(boxes), tuple(edges), height, left_out, gap_y, notes)


def _note(text: str, y: int, *, on_left: bool) -> Note:
    away = BOX_WIDTH // 2 + 8
    x = MIDDLE - away if on_left else MIDDLE + away
    return Note(x, y, text, "end" if on_left else "start")


def _top(y: int) -> int:
    return y - BOX_HEIGHT // 2


def _bottom(y: int) -> int:
    return y + BOX_HEIGHT // 2


def _short(digest: bytes) -> str:
    return f"{digest.hex()[:SHOWN_DIGITS]}…"
