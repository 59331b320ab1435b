"""Going on in spite of a kill switch, or getting rid of one alone."""

import threading
import time
from datetime import datetime, tzinfo
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from agents import loop
from agents.approvals import countersigned
from agents.broker import Broker
from agents.errors import NotFound
from agents.kill_switches import switches
from agents.kill_switches.service import Lift, kill_lift, kill_set
from agents.models import KillScope, KillSwitch, Run, RunState
from agents.sandbox.contract import GuestCall
from agents.session import open_session
from agents.worker import leases
from audit.models import Entry
from audit.services import Actor
from audit.transactions import in_workspace
from policies.errors import Reason, Refusal
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

READ = program("vendors = list_vendors()")
NOTE = program("list_vendors()\nfirst = note_down(text='one')\nsecond = note_down(text='two')")
PAY = program("made = [pay(account=v['account'], amount_cents=5)['id'] for v in list_vendors()]")
ANSWER = program("final_answer({'done': 1})")
NAMES = {
    KillScope.AGENT: "Teller",
    KillScope.MODEL: "scripted",
    KillScope.WORKSPACE: "",
    KillScope.ALL: "",
}


class DaysLater(datetime):
    """The clock that effects are checked by, two days on."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "DaysLater":
        return cls.fromtimestamp(time.time() + 2 * 86_400, tz)


def stop(stage: Stage, scope: KillScope, subject: str = "", who: str = "alice") -> KillSwitch:
    made = kill_set(
        workspace_id=None if scope is KillScope.ALL else stage.workspace_id,
        scope=scope,
        subject=subject,
        reason="it pays too much",
        actor=stage.cast.actor(who),
    )
    assert isinstance(made, KillSwitch), made
    return made


def lift(stage: Stage, switch: KillSwitch, who: str, reason: str = "found it") -> Lift | Refusal:
    return kill_lift(
        workspace_id=switch.workspace_id,
        switch_id=switch.id,
        reason=reason,
        actor=stage.cast.actor(who),
    )


def lifted(stage: Stage, switch: KillSwitch) -> None:
    lift(stage, switch, "ada")
    if switch.scope in (KillScope.WORKSPACE, KillScope.ALL):
        lift(stage, switch, "carol")


def recorded(stage: Stage, action: str) -> int:
    with in_workspace(stage.workspace_id):
        return Entry.objects.filter(action=action).count()


class MidCall:
    """Sets a switch in the middle of a program: right before its next call reaches the broker."""

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch, *, before: int) -> None:
        self.call, self.before, self.stage = Broker.call, before, stage
        self.scope, self.subject = KillScope.WORKSPACE, ""
        self.switch: KillSwitch | None = None
        patch.setattr(Broker, "call", lambda b, guest: self.crossing(b, guest))  # noqa: PLW0108

    def crossing(self, crossed: Broker, guest: GuestCall) -> Any:
        if guest.seq == self.before and self.switch is None:
            self.switch = stop(self.stage, self.scope, self.subject)
        return self.call(crossed, guest)


@pytest.mark.parametrize("scope", list(NAMES))
def test_a_stopped_run_is_not_claimed_and_goes_on_when_it_is_lifted(
    stage: Stage, scope: KillScope
) -> None:
    run = stage.start(READ, ANSWER)
    switch = stop(stage, scope, NAMES[scope])
    run = stage.play(run)
    assert (run.state, run.steps_taken) == (RunState.QUEUED, 0)
    assert "it pays too much" in run.reason
    assert stage.model.asked == []
    lifted(stage, switch)
    assert stage.play(run).state == RunState.SUCCEEDED
    assert stage.actions(run).count("run.parked") == 1


def test_a_new_run_waits_and_says_why(stage: Stage) -> None:
    stop(stage, KillScope.AGENT, "Teller")
    run = stage.start(READ)
    assert (run.state, run.reason != "") == (RunState.QUEUED, True)
    assert run.wake_at is not None


@pytest.mark.parametrize("before", [0, 1, 2])
def test_it_takes_hold_at_the_next_call_and_the_step_goes_on_where_it_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    mid = MidCall(stage, monkeypatch, before=before)
    run = stage.play(stage.start(NOTE, ANSWER))
    assert run.state == RunState.QUEUED
    assert len(bank.effects) == max(0, before - 1)
    assert mid.switch is not None
    lifted(stage, mid.switch)
    assert stage.play(run).state == RunState.SUCCEEDED
    assert [made["text"] for _, made in bank.effects] == ["one", "two"]
    assert bank.reads == 1


def test_a_signed_manifest_stops_between_two_effects(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.play(stage.start(PAY, ANSWER))
    for name in ("bob", "beth"):
        stage.vote(run, name)
    mid = MidCall(stage, monkeypatch, before=2)
    mid.scope, mid.subject = KillScope.TOOL, "pay"
    run = stage.play(run)
    assert run.state == RunState.QUEUED
    assert [made["account"] for _, made in bank.effects] == ["DE01"]
    assert stage.play(run).state == RunState.QUEUED
    assert mid.switch is not None
    lifted(stage, mid.switch)
    assert stage.play(run).state == RunState.SUCCEEDED
    assert [made["account"] for _, made in bank.effects] == ["DE01", "SE02"]


def test_a_signature_that_ran_out_while_it_was_held_is_spent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.play(stage.start(PAY, ANSWER))
    for name in ("bob", "beth"):
        stage.vote(run, name)
    mid = MidCall(stage, monkeypatch, before=2)
    stage.play(run)
    assert mid.switch is not None
    lifted(stage, mid.switch)
    monkeypatch.setattr(countersigned, "datetime", DaysLater)
    run = stage.play(run)
    assert [made["account"] for _, made in bank.effects] == ["DE01"]
    assert "time to execute has passed" in stage.steps(run)[0].observation


def test_signing_does_not_start_a_stopped_run(stage: Stage) -> None:
    run = stage.play(stage.start(PAY, ANSWER))
    stop(stage, KillScope.WORKSPACE)
    for name in ("bob", "beth"):
        stage.vote(run, name)
    assert stage.play(run).state == RunState.QUEUED
    assert bank.effects == []
    assert "approval.consumed" not in stage.actions(run)


def test_a_stop_between_the_plan_and_its_request_loses_no_signature(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    mid = MidCall(stage, monkeypatch, before=1)
    run = stage.play(
        stage.start(program("paid = pay(account='DE01', amount_cents=5)\nlist_vendors()"), ANSWER)
    )
    assert mid.switch is not None
    lifted(stage, mid.switch)
    run = stage.play(run)
    assert run.state == RunState.AWAITING_APPROVAL
    stage.vote(run, "bob")
    assert stage.play(run).state == RunState.AWAITING_APPROVAL
    assert bank.effects == []


def test_a_switch_for_one_run_ends_it(stage: Stage) -> None:
    run, other = stage.start(READ, ANSWER), stage.start(READ, ANSWER)
    stop(stage, KillScope.RUN, str(run.id))
    assert stage.play(run).state == RunState.CANCELLED
    assert stage.play(other).state == RunState.SUCCEEDED


def test_other_tools_and_agents_go_on(stage: Stage) -> None:
    stop(stage, KillScope.TOOL, "pay")
    assert stage.play(stage.start(NOTE, ANSWER)).state == RunState.SUCCEEDED


@pytest.mark.parametrize("scope", [KillScope.WORKSPACE, KillScope.ALL])
def test_one_person_alone_cannot_lift_it(stage: Stage, scope: KillScope) -> None:
    switch = stop(stage, scope)
    first = lift(stage, switch, "ada")
    assert isinstance(first, Lift)
    assert not first.lifted
    again = lift(stage, switch, "ada")
    assert isinstance(again, Refusal)
    assert again.reason is Reason.REQUESTER
    run = stage.start(READ)
    assert run.reason
    second = lift(stage, switch, "carol")
    assert isinstance(second, Lift)
    assert second.lifted


def test_the_database_refuses_one_person_too(stage: Stage) -> None:
    switch = stop(stage, KillScope.WORKSPACE)
    lift(stage, switch, "ada")
    ada = stage.cast.actor("ada").id
    with (
        in_workspace(stage.workspace_id),
        pytest.raises(IntegrityError, match="lifted_by_two"),
        transaction.atomic(),
    ):
        KillSwitch.objects.filter(id=switch.id).update(lifted_at="2026-11-22T00Z", lifted_by_id=ada)


@pytest.mark.parametrize("who", ["alice", "bob", "dan", "mallory"])
def test_who_may_not_lift(stage: Stage, who: str) -> None:
    switch = stop(stage, KillScope.AGENT, "Teller")
    refused = lift(stage, switch, who)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.ROLE
    assert recorded(stage, "kill.refused") == 1


def test_lifting_needs_a_reason_and_a_person(stage: Stage) -> None:
    switch = stop(stage, KillScope.AGENT, "Teller")
    silent = lift(stage, switch, "ada", " ")
    assert isinstance(silent, Refusal)
    assert silent.reason is Reason.INCOMPLETE
    robot = kill_lift(
        workspace_id=stage.workspace_id,
        switch_id=switch.id,
        reason="all fine",
        actor=Actor("service", stage.cast.actor("ada").id, "robot"),
    )
    assert isinstance(robot, Refusal)
    assert robot.reason is Reason.NOT_A_PERSON


def test_mallory_neither_sees_nor_lifts_nor_sets_here(stage: Stage) -> None:
    switch = stop(stage, KillScope.AGENT, "Teller")
    mallory = stage.cast.actor("mallory")
    with pytest.raises(NotFound):
        kill_lift(workspace_id=stage.cast.other.id, switch_id=switch.id, reason="x", actor=mallory)
    refused = kill_set(
        workspace_id=stage.workspace_id, scope=KillScope.WORKSPACE, reason="x", actor=mallory
    )
    assert isinstance(refused, Refusal)
    with in_workspace(stage.cast.other.id):
        assert not KillSwitch.objects.filter(id=switch.id).exists()


def test_a_workspace_cannot_touch_a_switch_for_everything(stage: Stage) -> None:
    switch = stop(stage, KillScope.ALL)
    with pytest.raises(NotFound):
        kill_lift(
            workspace_id=stage.workspace_id,
            switch_id=switch.id,
            reason="ours",
            actor=stage.cast.actor("ada"),
        )
    with in_workspace(stage.workspace_id):
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            KillSwitch.objects.filter(id=switch.id).update(reason="none")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            KillSwitch.objects.filter(id=switch.id).delete()
    with (
        in_workspace(stage.cast.other.id),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        KillSwitch.objects.create(
            workspace_id=stage.workspace_id, scope="workspace", reason="theirs", set_by_id="m"
        )


def test_setting_twice_keeps_the_first_and_a_name_of_nothing_is_refused(stage: Stage) -> None:
    first = stop(stage, KillScope.AGENT, "Teller")
    assert stop(stage, KillScope.AGENT, "Teller", "bob").id == first.id
    with pytest.raises(NotFound):
        stop(stage, KillScope.TOOL, "no_such_tool")


def test_every_change_is_recorded(stage: Stage) -> None:
    lifted(stage, stop(stage, KillScope.WORKSPACE))
    with in_workspace(stage.workspace_id):
        actions = list(
            Entry.objects.filter(action__startswith="kill.")
            .order_by("number")
            .values_list("action", flat=True)
        )
    assert actions[-3:] == ["kill.set", "kill.lift_asked", "kill.lifted"]


def test_a_program_that_only_computes_ends_within_a_second(committing_stage: Stage) -> None:
    stage = committing_stage
    run = stage.start(program("x = 0\nwhile True:\n    x += 1"), ANSWER)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker")
    assert lease is not None
    session, ended = open_session(lease), []

    def work() -> None:
        with leases.Keeper().keeping(lease, session.stop):
            loop.advance(session, stage.model)
        ended.append(time.monotonic())
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    while not session.has_jail:
        time.sleep(0.01)
    stop(stage, KillScope.WORKSPACE)
    worker.join(timeout=30)
    assert ended
    run = stage.fresh(run)
    assert (run.state, run.lease_owner) == (RunState.QUEUED, "")
    assert "kill switch" in run.reason


def test_all_stops_every_workspace(stage: Stage) -> None:
    stop(stage, KillScope.ALL)
    run = stage.start(READ)
    with in_workspace(stage.workspace_id):
        held = Run.objects.select_related("agent_version__agent", "agent_version__endpoint")
        assert switches.in_force(held.get(id=run.id)) is not None
    with in_workspace(stage.cast.other.id):
        assert KillSwitch.objects.filter(scope=KillScope.ALL).count() == 1
