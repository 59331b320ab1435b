"""Dying between two statements, as a killed process would."""

from collections.abc import Callable, Sequence
from typing import Any


class Killed(Exception):
    """Stands for the death of the process: nothing of ours handles it."""


class KillAt:
    """Lets `statements` pass, then fails before or after the next."""

    def __init__(self, statements: int, *, after: bool) -> None:
        self.left = statements
        self.after = after

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Sequence[object],
        many: bool,
        context: dict[str, Any],
    ) -> object:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        result = execute(sql, params, many, context)
        if self.left < 0:
            raise Killed
        return result
