"""A JSON column that keeps the order of members.

What a tool answered is given to the program again when its run is restored, and what people sign
is shown to them and hashed. `jsonb` sorts members by length and name and rewrites numbers: a
program that prints a record would do something else than it did, a card would show arguments in
another order than the call has, and `1e22` would come back as an integer of no canonical form.
"""

import json
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Json

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler


class OrderedJSONField(models.JSONField):
    """Stored as PostgreSQL's `json`: the text as it was written. It has no lookups into it."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def get_db_prep_value(
        self,
        value: object,
        connection: BaseDatabaseWrapper,
        prepared: bool = False,
    ) -> object:
        return Json(value, dumps=_dumps)

    def select_format(self, compiler: "SQLCompiler", sql: str, params: Any) -> tuple[str, Any]:  # noqa: ANN401 - Django's
        # As text: the driver would read `json` by itself, and a text in it could not be told apart.
        return f"{sql}::text", params

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:  # noqa: ANN401
        return None if value is None else json.loads(value)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
