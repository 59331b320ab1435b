"""Rows that every step writes, by statements composed once for their shape.

Django composes each INSERT and UPDATE anew from the model's fields, which takes as long as sending
it and more. Here the text is kept; the fields prepare the values, as they do for `save`. What
`save` does besides is left out: signals, checks of related objects, columns read back.
"""

import functools
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import DatabaseError, connections, models, router
from django.db.models.expressions import DatabaseDefault
from psycopg.sql import SQL, Composable, Identifier, Placeholder

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

AT_ONCE = 100
"""Rows in one statement, which may carry 65,535 values."""


def insert(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model, of one shape, in their order.

    A column left to the database's default is read again when it is asked for.

    Raises:
        django.db.DatabaseError: as for `save`.
    """
    for start in range(0, len(rows), AT_ONCE):
        _insert_some(rows[start : start + AT_ONCE])


def update(row: models.Model, columns: Collection[str]) -> None:
    """Write the named columns' attributes of a stored row.

    Raises:
        django.db.DatabaseError: as for `save`; there is no such row.
    """
    model = type(row)
    connection = connections[router.db_for_write(model)]
    fields = tuple(field for field in _columns(model) if field.attname in columns)
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_update(model, fields), [*values, row.pk])
        if cursor.rowcount != 1:
            raise DatabaseError(f"no row of {model._meta.db_table} was updated")


def _insert_some(rows: Sequence[models.Model]) -> None:
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    held = [_held(row) for row in rows]
    fields = tuple(held[0])
    values = [field.get_db_prep_save(own[field], connection) for own in held for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_insert(model, fields, len(rows)), values)
    left_out = [field.attname for field in _columns(model) if field not in held[0]]
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
        for name in left_out:
            del row.__dict__[name]


def _held(row: models.Model) -> "dict[Field, object]":
    """What `row` has for each column that is not left to the database."""
    held = {field: field.pre_save(row, add=True) for field in _columns(type(row))}
    return {field: value for field, value in held.items() if type(value) is not DatabaseDefault}


def _columns(model: type[models.Model]) -> "Sequence[Field]":
    return model._meta.local_concrete_fields


@functools.lru_cache(maxsize=500)
def _insert(model: type[models.Model], fields: "tuple[Field, ...]", count: int) -> str:
    row = SQL("({})").format(_listed(Placeholder() for _ in fields))
    text = SQL("INSERT INTO {} ({}) VALUES {}").format(
        Identifier(model._meta.db_table),
        _listed(Identifier(str(field.column)) for field in fields),
        _listed([row] * count),
    )
    return text.as_string()


@functools.lru_cache(maxsize=500)
def _update(model: type[models.Model], fields: "tuple[Field, ...]") -> str:
    text = SQL("UPDATE {} SET {} WHERE {} = {}").format(
        Identifier(model._meta.db_table),
        _listed(
            SQL("{} = {}").format(Identifier(str(field.column)), Placeholder()) for field in fields
        ),
        Identifier(str(model._meta.pk.column)),
        Placeholder(),
    )
    return text.as_string()


def _listed(parts: Iterable[Composable]) -> Composable:
    return SQL(", ").join(parts)
