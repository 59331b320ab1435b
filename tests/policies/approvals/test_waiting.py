"""What every page says waits for someone is what their queue says."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from policies import selectors
from policies.directory import directory
from policies.models import Kind
from policies.waiting import waiting_count
from tests.countersign.accounts.cast import NOW, Cast
from tests.policies.approvals.asking import ONE_FINANCE, ask, vote


@pytest.fixture
def busy(cast: Cast) -> Cast:
    """Requests of every kind that someone may or may not sign."""
    ask(cast)
    vote(cast, ask(cast), "bob")
    vote(cast, ask(cast, requirement=ONE_FINANCE), "bob")
    ask(cast, requester=cast.actor("bob"))
    ask(cast, barred=[str(cast.id("beth"))])
    ask(cast, sign_by=NOW + timedelta(minutes=1), execute_by=NOW + timedelta(hours=1))
    change = {"kind": Kind.CHANGE, "run_id": None, "step": None}
    ask(cast, requirement=[{"role": "policy_officer", "count": 1}], **change)
    ask(cast, requirement=[{"role": "reviewer:security", "count": 1}])
    return cast


@pytest.mark.parametrize("who", ["alice", "bob", "beth", "rita", "carol", "dan", "mallory"])
@pytest.mark.parametrize("later", [0, 2])
def test_the_count_is_that_of_the_queue(busy: Cast, who: str, later: int) -> None:
    now = NOW + timedelta(minutes=later)
    rows = selectors.queue(busy.acme.id, str(busy.id(who)), now)
    may = sum(row.refusal is None for row in rows)
    roles = directory().roles(str(busy.id(who)), busy.acme.id)
    assert waiting_count(busy.acme.id, str(busy.id(who)), roles, now) == may


def test_it_asks_the_database_once(busy: Cast) -> None:
    bob = str(busy.id("bob"))
    roles = directory().roles(bob, busy.acme.id)
    with CaptureQueriesContext(connection) as asked:
        assert waiting_count(busy.acme.id, bob, roles, NOW) > 0
    assert sum("policies_" in query["sql"] or "accounts_" in query["sql"] for query in asked) == 1
