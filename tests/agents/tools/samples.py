"""Tools for the tests, at the top level of a module as tools must be."""

import contextvars
import dataclasses
import sys
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Literal, NotRequired, TypedDict

import pydantic
from pydantic import Field

from agents.tools.context import ToolContext
from agents.tools.decorator import tool
from agents.tools.errors import ToolFailed, ToolTimeout

SECRET = "s3cret-credential"
RELEASE = threading.Event()
AROUND: contextvars.ContextVar[str] = contextvars.ContextVar("around", default="nothing")


class Status(StrEnum):
    OPEN = "open"
    PAID = "paid"


class Priority(Enum):
    LOW = 1
    HIGH = 2


class Invoice(TypedDict):
    """An invoice."""

    number: str
    amount: Decimal
    due: date
    note: NotRequired[str]


@dataclasses.dataclass
class Address:
    """Where someone lives."""

    street: str
    zip: str = "00000"


class Person(pydantic.BaseModel):
    """A person."""

    name: Annotated[str, Field(min_length=1)]
    home: Address | None = None

    @pydantic.field_validator("name")
    @classmethod
    def not_root(cls, value: str) -> str:
        if value == "root":
            raise ValueError("root is nobody")
        return value


@tool(effect="read", tier=1, labels=("confidential",))
def list_invoices(
    week: str,
    context: ToolContext,
    status: Status = Status.OPEN,
    since: date | None = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 10,
) -> list[Invoice]:
    """List the invoices
    of a week.

    The oldest come first.

    Args:
        week: ISO week,
            for example "2026-W47".
        status: Which ones.
        since: Only from this day on.
        limit: At most so many.

    Returns:
        The invoices.
    """  # noqa: D205 - descriptions run over line ends
    return [
        Invoice(number=week, amount=Decimal("12.50"), due=since or date(2026, 1, 1)),
        Invoice(number=context.run, amount=Decimal(limit), due=date(2026, 1, 2), note=status),
    ]


@tool(effect="write", tier=3, roles={"account": "recipient", "amount": "amount"}, idempotent=True)
def pay(
    account: str,
    amount: Decimal,
    priority: Priority,
    kind: Literal["sepa", "swift"],
    people: list[Person],
    extra: dict[str, float],
    context: ToolContext,
) -> dict[str, str | int | list[str]]:
    """Pay someone.

    Args:
        account: The IBAN.
        amount: In euros.
        priority: How soon.
        kind: Which way.
        people: Who asked.
        extra: Anything else.
    """
    types = [type(item).__name__ for item in (amount, priority, *people)]
    return {"key": context.idempotency_key, "step": context.step, "types": types}


@tool(effect="read")
def echo(what: str) -> str:
    """Give back what it was given.

    Args:
        what: Anything.
    """
    return what


@tool(effect="read")
def nothing() -> None:
    """Do nothing."""


@tool(effect="read", max_result_bytes=50)
def wrong(kind: str) -> int:
    """Give back something that is no whole number.

    Args:
        kind: What.
    """
    values: dict[str, object] = {
        "text": "seven",
        "nan": float("nan"),
        "object": object(),
        "set": {1, 2},
        "huge": 2**60,
        "long": "x" * 100,
        "none": None,
        "bool": True,
        "surrogate": "\ud800",
        "now": datetime.now(UTC),
    }
    return values[kind]  # type: ignore[return-value]


@tool(effect="write")
def fail(kind: str, context: ToolContext) -> None:
    """Fail in some way.

    Args:
        kind: Which way.
    """
    faults: dict[str, BaseException] = {
        "value": ValueError("no such account"),
        "said": ToolFailed("PaymentRefused", "already paid"),
        "lost": ConnectionResetError("peer went away"),
        "slow": TimeoutError("read timed out"),
        "unsure": ToolTimeout("the bank did not answer"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
    }
    if kind == "leak":
        raise RuntimeError(f"login with {context.secret('test:one')} failed")
    raise faults[kind]


@tool(effect="read")
def lose() -> None:
    """Lose the connection while reading."""
    raise ConnectionResetError("peer went away")


@tool(effect="read")
def leak(context: ToolContext) -> dict[str, list[str]]:
    """Give back a secret by mistake."""
    return {"headers": [f"Bearer {context.secret('test:one')}"]}


@tool(effect="write", timeout_s=0.05)
def hang() -> None:
    """Never answer in time."""
    RELEASE.wait(20)


@tool(effect="read")
def surroundings() -> list[str]:
    """Tell in which context and thread it runs."""
    return [AROUND.get(), threading.current_thread().name]


@tool(effect="read")
def doze() -> int:
    """Sleep a moment."""
    time.sleep(0.01)
    return sys.maxsize % 7
