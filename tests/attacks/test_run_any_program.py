"""Whatever a program does and whenever its worker dies, what happens is what was decided.

Random programs of calls, branches, loops and exceptions are played twice: uninterrupted, and by
workers of which some die at a random commit. Both must have the same effects in the same order, and
each effect that needs a signature must stand in a manifest that was signed.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents import loop, services
from agents.models import CallState, Run, RunState
from agents.session import open_session
from agents.worker import leases
from audit.transactions import in_workspace
from policies.models import ApprovalRequest
from tests.agents.runs.dying import Death, Died, dying
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank
from tests.benchmarks.result import Result

WORKERS = 40
END = program("final_answer({'done': True})")

pay = st.builds(
    "paid = pay(account={!r}, amount_cents={})".format,
    st.sampled_from(["DE01", "SE02"]),
    st.integers(1, 9),
)
note = st.builds("seen.append(note_down(text={!r}))".format, st.sampled_from(["a", "b", "c"]))
send = st.builds("send(recipient='a@b.example', text={!r})".format, st.sampled_from(["x", "y"]))
read = st.just("seen.extend(v['id'] for v in list_vendors())")
fail = st.just("raise ValueError('on purpose')")
wrong = st.just("note_down(text=7)")
needs = st.just("seen.append(paid['amount_cents'] + 1 if paid else 0)")
simple = st.one_of(pay, note, note, send, read, needs, fail, wrong)


def block(body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def indented(lines: list[str]) -> str:
        return "\n".join(f"    {line}" for text in lines for line in text.splitlines())

    inner = st.lists(body, min_size=1, max_size=2).map(indented)
    return st.one_of(
        st.builds("if len(seen) % 2 == {}:\n{}\nelse:\n{}".format, st.integers(0, 1), inner, inner),
        st.builds("for i in range({}):\n{}".format, st.integers(1, 2), inner),
        st.builds("try:\n{}\nexcept Exception:\n{}".format, inner, inner),
    )


statement = st.recursive(simple, block, max_leaves=4)
step = st.lists(statement, min_size=1, max_size=3).map("\n".join)
programs = st.lists(step, min_size=1, max_size=3)
deaths = st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=6)


@dataclass
class Played:
    """What came of a run: its effects, and how it ended.

    Attributes:
        doubts: effects that a person was asked about.
        commits: how many each worker made, or began.
    """

    effects: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    state: str = ""
    doubts: int = field(default=0, compare=False)
    commits: list[int] = field(default_factory=list, compare=False)


def play(
    stage: Stage, steps: list[str], dies: list[tuple[int, bool]], patch: pytest.MonkeyPatch
) -> Played:
    """Play a run to its end, with people who sign whatever they are asked to."""
    bank.__init__()  # type: ignore[misc]
    told = [program(f"seen, paid = [], None\n{steps[0]}"), *map(program, steps[1:]), END]
    run = stage.start(*told)
    played = Played()
    for number in range(WORKERS):
        death = Death(*dies[number]) if number < len(dies) else Death()
        current = go_on(stage, run, death, patch)
        played.commits.append(death.seen)
        stage.model.replies = list(told[current.steps_taken :])
        if current.state == RunState.AWAITING_APPROVAL:
            for name in ("bob", "beth"):
                stage.vote(run, name)
        elif current.state == RunState.AWAITING_INPUT:
            settle(stage, run)
            played.doubts += 1
        elif current.ended is not None:
            every_effect_was_signed(stage, run)
            played.effects = list(bank.effects)
            played.state = f"{current.state}: {current.reason}"
            return played
    raise AssertionError("the run does not come to an end")


def go_on(stage: Stage, run: Run, death: Death, patch: pytest.MonkeyPatch) -> Run:
    with in_workspace(stage.workspace_id):
        Run.objects.filter(id=run.id).update(lease_until=None)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker:1:1")
    if lease is not None:
        try:
            with dying(death, patch):
                loop.advance(open_session(lease), stage.model)
        except Died:
            pass
    return stage.fresh(run)


def settle(stage: Stage, run: Run) -> None:
    """A person looks whether the effect in doubt was the last thing that happened."""
    [call] = [call for call in stage.calls(run) if call.state == CallState.UNKNOWN]
    name = call.tool_version.tool.name
    made = sum(1 for c in stage.calls(run) if c.state == CallState.SUCCEEDED and is_effect(c))
    happened = len(bank.effects) > made
    result = {"note_down": f"note {len(bank.effects)}", "send": "sent to a@b.example"}[name]
    refused = services.call_resolve(
        workspace_id=stage.workspace_id,
        call_id=call.id,
        actor=stage.cast.actor("bob"),
        happened=happened,
        result=result if happened else None,
    )
    assert refused is None, refused


def is_effect(call: Any) -> bool:
    return str(call.tool_version.effect) == "write"


def every_effect_was_signed(stage: Stage, run: Run) -> None:
    """What needs a signature stands, as it was made, in a manifest that was signed and used."""
    with in_workspace(stage.workspace_id):
        used = ApprovalRequest.objects.filter(run_id=run.id, approval__consumed_by=f"run {run.id}")
        shown = [
            (request.step, entry["seq"], entry["tool"])
            for request in used
            for entry in request.displayed["effects"]
        ]
    for call in stage.calls(run):
        name = call.tool_version.tool.name
        if call.state == CallState.SUCCEEDED and name in ("pay", "send"):
            assert (call.step.number, call.seq, name) in shown


def bounded(examples: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@bounded(12, derandomize=True)
@given(steps=programs, dies=deaths)
def test_dying_workers_change_nothing_about_what_happens(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, steps: list[str], dies: list[tuple[int, bool]]
) -> None:
    expected = play(stage, steps, [], monkeypatch)
    assert play(stage, steps, dies, monkeypatch) == expected


@pytest.mark.soak
def test_many_programs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, measured: list[Result]
) -> None:
    played = [0, 0]

    @bounded(150, derandomize=False)
    @given(steps=programs, dies=deaths)
    def same(steps: list[str], dies: list[tuple[int, bool]]) -> None:
        expected = play(stage, steps, [], monkeypatch)
        assert play(stage, steps, dies, monkeypatch) == expected
        played[0] += 1
        played[1] += len(expected.effects)

    same()
    measured.append(
        Result("soak: random programs with dying workers", played[0], "programs", None, "higher")
    )
    measured.append(
        Result("soak: effects of random programs", played[1], "effects", None, "higher")
    )
    measured.append(Result("soak: effects lost or made twice", 0, "effects", 0, "lower"))
