"""The policies a workspace starts with; `starter.cedar` is written to be read."""

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def starter_text() -> str:
    """Cedar text of the starter policy set."""
    return (Path(__file__).parent / "starter.cedar").read_text(encoding="utf-8")
