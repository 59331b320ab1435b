"""An amount that is taken back does not hide one that is paid."""

from datetime import UTC, datetime
from typing import Any

import pytest

from policies import requests
from policies.facts.record import Origin, ToolSpec

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PAY = ToolSpec(
    name="pay",
    version="1",
    effect="write",
    tier=2,
    labels=frozenset(),
    roles={"lines.amount": "amount", "amount": "amount", "fee": "amount"},
    parameters={
        "type": "object",
        "properties": {
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"amount": {"type": "number"}}},
            },
            "amount": {"type": "number"},
            "fee": {"type": "number"},
        },
    },
    idempotent=False,
)


def counted(**arguments: Any) -> int:
    context = requests.RunContext(
        workspace="w", agent="a", agent_version="1", requester="r", agency=3, step=1, now=NOW
    )
    known = {name: Origin(frozenset({"literal"})) for name in arguments}
    asked = requests.call(context, PAY, arguments, known)
    return int(asked.context["call"]["amount_minor"])


@pytest.mark.parametrize(
    ("arguments", "minor"),
    [
        ({"amount": 5000}, 500_000),
        ({"amount": -5000}, 500_000),
        ({"amount": 5000, "fee": -5000}, 1_000_000),
        ({"lines": [{"amount": 5000}, {"amount": -5000}]}, 1_000_000),
        ({"amount": "-5000.001"}, 500_001),
    ],
)
def test_a_rule_on_large_amounts_sees_what_moves_in_either_direction(
    arguments: dict[str, Any], minor: int
) -> None:
    assert counted(**arguments) == minor
