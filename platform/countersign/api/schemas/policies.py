"""Policy versions, as the API says them."""

from datetime import datetime
from typing import Any

from ninja import Schema

from countersign.api.schemas.base import PageOut


class PolicyOut(Schema):
    """One policy version."""

    number: int
    digest: str
    note: str
    author_name: str
    created: datetime
    active: bool
    activated: datetime | None


class PolicyDetailOut(PolicyOut):
    """One policy version with its Cedar text and required tests."""

    text: str
    tests: list[Any]


class PolicyPage(PageOut[PolicyOut]):
    pass
