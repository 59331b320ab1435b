"""What schemas share: pages, strictness, text that can be stored. Times are RFC 3339 in UTC.

What is taken forbids unknown fields: a misspelt one must not be dropped silently.
"""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from ninja import Field, Schema
from pydantic import AfterValidator, ConfigDict

from countersign.api.parsing import storable

T = TypeVar("T")
MAX_PAGE = 200
Text = Annotated[str, AfterValidator(storable)]


class PageOut(Schema, Generic[T]):
    """Some rows; `next` is the `cursor` of the next page, "" on the last one."""

    items: Sequence[T]
    next: str


class Taken(Schema):
    model_config = ConfigDict(extra="forbid")


class Paged(Schema):
    cursor: Text = Field("", max_length=400, description="`next` of the page before.")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
