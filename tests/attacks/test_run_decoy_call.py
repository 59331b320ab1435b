"""A call that the analysis did not see, beside one that it saw and that could be it.

The broker is asked as the jail asks it: what the guest says of the line can only raise doubts.
"""

import pytest

from agents import loop, services
from agents.broker import Broker
from agents.sandbox.contract import Deferred, GuestCall, Value
from agents.session import open_session
from agents.worker import leases
from tests.agents.runs.stage import Replies, program
from tests.attacks.obedient import GOAL, Office

CODE = "to = colleagues()[0]['mail']\nif len(to) > 99:\n    mail(to=to, text='hi')\nprint(to)"


def broker(office: Office) -> Broker:
    """Of a run that is about to run this program."""
    stage = office.stage
    started = services.run_start(
        workspace_id=stage.workspace_id,
        agent="Clerk",
        requester=stage.cast.actor("alice"),
        goal=GOAL,
        inputs={},
    )
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=started.run.id, owner="worker-1")
    assert lease is not None
    session = open_session(lease)
    step = loop.propose(session, Replies([program(CODE)]))
    assert step is not None
    made = Broker(session, step, session.recorded(step))
    assert isinstance(made.call(GuestCall(0, "colleagues", {}, (1,))), Value)
    return made


@pytest.mark.parametrize("at", [(), (1,), (4,), (99, 1)])
def test_a_call_from_another_line_waits_for_a_person(office: Office, at: tuple[int, ...]) -> None:
    to = {"to": "ann@corp.example", "text": "hi", "subject": ""}
    made = broker(office)
    assert isinstance(made.call(GuestCall(1, "mail", to, at)), Deferred)
    assert "recipient-of-unknown-origin" in {rule.id for rule in made.decisions[1].rules}


def test_the_call_that_was_seen_is_made(office: Office) -> None:
    to = {"to": "ann@corp.example", "text": "hi", "subject": ""}
    assert isinstance(broker(office).call(GuestCall(1, "mail", to, (3,))), Value)
