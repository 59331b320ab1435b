"""A simulation whose message was lost, or whose worker died, is done all the same."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from audit.transactions import in_workspace
from policies import life
from policies.models import PolicySimulation
from policies.selectors import active_policy
from policies.services import policy_simulate, policy_simulation_run, simulations_again
from policies.services import simulation as service
from policies.tasks import simulate, sweep_at
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last

SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=10)
STATE = PolicySimulation.State


@pytest.fixture
def asked(cast: Cast) -> PolicySimulation:
    made = policy_simulate(
        workspace_id=cast.acme.id,
        version_id=active_policy(cast.acme.id).version_id,
        requester=cast.actor("carol"),
        days=7,
        now=NOW,
    )
    assert isinstance(made, PolicySimulation)
    return made


def now_is(cast: Cast, asked: PolicySimulation, **fields: object) -> PolicySimulation:
    """The row as it stands, after it was set to this."""
    with in_workspace(cast.acme.id):
        PolicySimulation.objects.filter(id=asked.id).update(**fields)
    found = life.simulation(cast.acme.id, asked.id)
    assert found is not None
    return found


def run(cast: Cast, simulation_id: UUID) -> None:
    policy_simulation_run(workspace_id=cast.acme.id, simulation_id=simulation_id)


def test_a_lost_message_is_sent_again_once_in_a_while(cast: Cast, asked: PolicySimulation) -> None:
    here = [(cast.acme.id, asked.id)]
    assert simulations_again(now=SOON) == []
    assert simulations_again(now=LATER) == here
    assert simulations_again(now=LATER + timedelta(minutes=1)) == []
    assert simulations_again(now=LATER + timedelta(minutes=3)) == here
    run(cast, asked.id)
    assert simulations_again(now=LATER + timedelta(days=1)) == []


def test_the_sweep_sends_it(
    cast: Cast, asked: PolicySimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(simulate, "delay", lambda *ids: sent.append(ids))
    sweep_at(LATER)
    assert sent == [(str(cast.acme.id), str(asked.id))]


def test_a_silent_worker_is_replaced_and_its_counts_forgotten(
    cast: Cast, asked: PolicySimulation
) -> None:
    now_is(cast, asked, state=STATE.RUNNING, attempt=1, touched=NOW, done=9, counts={"same": 9})
    assert simulations_again(now=SOON) == []
    assert simulations_again(now=LATER) == [(cast.acme.id, asked.id)]
    again = now_is(cast, asked)
    assert (again.state, again.done, again.counts) == (STATE.WAITING, 0, {})
    run(cast, asked.id)
    assert now_is(cast, asked).state == STATE.DONE
    assert actions(cast.acme.id).count("policy.simulated") == 1


def test_a_worker_that_comes_back_writes_nothing_over_the_next_one(
    cast: Cast, asked: PolicySimulation
) -> None:
    late = service._taken(cast.acme.id, asked.id)
    assert late is not None
    assert late.touched is not None
    assert simulations_again(now=late.touched + timedelta(minutes=6)) != []
    run(cast, asked.id)
    done = now_is(cast, asked)
    late.done = 99
    assert not service._save(cast.acme.id, late, Counter(same=99))
    service._finish(cast.acme.id, late, Counter(same=99))
    after = now_is(cast, asked)
    assert (after.done, after.counts, after.attempt) == (done.done, done.counts, 2)
    assert actions(cast.acme.id).count("policy.simulated") == 1


def test_one_that_kills_its_workers_ends_and_says_so(cast: Cast, asked: PolicySimulation) -> None:
    now_is(cast, asked, state=STATE.RUNNING, attempt=3, touched=NOW)
    assert simulations_again(now=LATER) == []
    ended = now_is(cast, asked)
    assert (ended.state, ended.finished) == (STATE.DONE, LATER)
    assert ended.problem.startswith("It was interrupted 3 times.")
    assert last(cast.acme.id, "policy.simulated")["detail"]["attempts"] == 3
