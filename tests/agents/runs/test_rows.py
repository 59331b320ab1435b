"""Rows written by kept statements are those that Django itself would have written."""

from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, models

from agents.models import Call, Step
from audit import rows
from audit.transactions import in_workspace
from policies.models import DecisionRecord
from tests.agents.runs.stage import Stage, program


@pytest.fixture
def played(stage: Stage) -> UUID:
    """The workspace of a run with decisions, steps and calls."""
    done = program("final_answer({'done': 1})")
    stage.play(stage.start(program("print(list_vendors())"), done))
    return stage.workspace_id


def fresh(row: models.Model, **changes: object) -> Any:
    """A row like `row` that is not stored yet."""
    made = copy(row)
    made._state = copy(row._state)
    made._state.adding = True
    made.pk = uuid4()
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def stored(row: models.Model) -> dict[str, object]:
    [found] = type(row)._default_manager.filter(pk=row.pk).values()
    return {name: value for name, value in found.items() if name not in ("id", "created")}


@pytest.mark.parametrize(
    ("model", "place"), [(Step, "number"), (Call, "seq"), (DecisionRecord, "call_seq")]
)
def test_an_inserted_row_is_what_save_would_have_written(
    played: UUID, model: type[models.Model], place: str
) -> None:
    with in_workspace(played):
        row = model._default_manager.all()[0]
        one, other = fresh(row, **{place: 900}), fresh(row, **{place: 901})
        one.save(force_insert=True)
        rows.insert([other])
        assert not other._state.adding
        assert stored(other) == {**stored(one), place: 901}


def test_many_rows_keep_their_order_and_number(played: UUID) -> None:
    with in_workspace(played):
        row = DecisionRecord.objects.all()[0]
        made = [fresh(row, call_seq=1000 + n) for n in range(rows.AT_ONCE + 7)]
        rows.insert(made)
        found = DecisionRecord.objects.filter(call_seq__gte=1000).order_by("call_seq")
        assert [each.id for each in found] == [each.id for each in made]
        rows.insert([])


def test_a_default_of_the_database_is_read_when_asked_for(played: UUID) -> None:
    with in_workspace(played):
        known = DecisionRecord.objects.first()
        assert known is not None
        made = DecisionRecord(
            workspace_id=played,
            action="execute",
            outcome="allow",
            sentence="Allowed.",
            request={},
            request_digest="0" * 64,
            policy_version_id=known.policy_version_id,
        )
        rows.insert([made])
        assert isinstance(made.created, datetime)


def test_an_update_writes_the_named_columns_only(played: UUID) -> None:
    with in_workspace(played):
        step = Step.objects.order_by("number").first()
        assert step is not None
        was = step.status
        step.status, step.observation = "changed", "seen"
        rows.update(step, ["observation"])
        step.refresh_from_db()
        assert (step.status, step.observation) == (was, "seen")


def test_an_update_of_no_row_is_an_error(played: UUID) -> None:
    with in_workspace(played), pytest.raises(DatabaseError, match="no row of agents_step"):
        rows.update(fresh(Step.objects.all()[0]), ["observation"])


def test_another_workspaces_row_is_not_updated(played: UUID) -> None:
    with in_workspace(played):
        step = Step.objects.all()[0]
    with in_workspace(uuid4()), pytest.raises(DatabaseError, match="no row"):
        rows.update(step, ["observation"])
