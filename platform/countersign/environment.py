"""Typed reading of settings from an environment, with every problem reported at once.

Guarantees: a value that is present is valid or start-up stops; a ``COUNTERSIGN_…`` variable that
is no setting stops start-up too (a mistyped name would silently leave a default in force).
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

PREFIX = "COUNTERSIGN_"
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class Environment:
    """Reads ``COUNTERSIGN_<name>``; an empty value counts as absent."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {k: v for k, v in values.items() if k.startswith(PREFIX) and v.strip()}
        self._known: set[str] = set()
        self._problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        self._known.add(PREFIX + name)
        return self._values.get(PREFIX + name, default).strip()

    def texts(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """Return a comma-separated list."""
        found = [part.strip() for part in self.text(name).split(",") if part.strip()]
        return found or list(default)

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value not in options:
            self._problem(name, f"must be one of {', '.join(options)}, not {value!r}")
            return default
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in TRUE | FALSE:
            self._problem(name, f"must be yes or no, not {value!r}")
        return value in TRUE if value in TRUE | FALSE else default

    def number(self, name: str, default: int, *, lowest: int = 1, highest: int) -> int:
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdecimal() or not lowest <= int(value) <= highest:
            self._problem(name, f"must be a whole number from {lowest} to {highest}, not {value!r}")
            return default
        return int(value)

    def folder(self, name: str, default: Path) -> Path:
        value = self.text(name)
        if not value:
            return default
        if not Path(value).is_absolute():
            self._problem(name, f"must be an absolute path, not {value!r}")
            return default
        return Path(value)

    def entries(self, name: str) -> list[dict[str, Any]]:
        """Return the JSON list of objects in the file that ``name`` gives, or nothing."""
        file = self.text(name)
        if not file:
            return []
        try:
            found = json.loads(Path(file).read_text("utf-8"))
        except (OSError, ValueError) as error:
            self._problem(name, f"must be a readable JSON file: {error}")
            return []
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self._problem(name, "must hold a JSON list of objects")
            return []
        return found

    def url(self, name: str, schemes: Sequence[str], default: str = "") -> SplitResult:
        parts = urlsplit(self.text(name, default))
        if parts.geturl() and parts.scheme not in schemes:
            self._problem(name, f"must start with {' or '.join(s + '://' for s in schemes)}")
            return urlsplit(default)
        return parts

    def postgres(self, name: str) -> dict[str, str]:
        """Return libpq's key-values of a URL or key-value string; empty when absent."""
        value = self.text(name)
        if not value:
            return {}
        try:
            parts = {k: str(v) for k, v in conninfo_to_dict(value).items() if v is not None}
        except ProgrammingError:
            self._problem(name, "is not a PostgreSQL address (postgresql://user:…@host/database)")
            return {}
        missing = [key for key in ("host", "user", "dbname") if not parts.get(key)]
        if missing:
            self._problem(name, f"does not say {', '.join(missing)}")
            return {}
        return parts

    def require(self, name: str, *, holds: bool, otherwise: str) -> None:
        """Report ``otherwise`` for setting ``name`` unless the condition holds."""
        if not holds:
            self._problem(name, otherwise)

    def finish(self) -> None:
        """Stop start-up when anything was wrong.

        Raises:
            ImproperlyConfigured: The operator's fault; names every setting and what to change.
        """
        for name in sorted(self._values.keys() - self._known):
            close = difflib.get_close_matches(name, self._known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            self._problems.append(f"{name} is not a setting{hint}")
        if self._problems:
            raise ImproperlyConfigured("\n".join(["Settings:", *self._problems]))

    def _problem(self, name: str, what: str) -> None:
        self._problems.append(f"{PREFIX}{name} {what}")
