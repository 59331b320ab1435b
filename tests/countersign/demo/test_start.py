"""Every step of starting the demo may be repeated."""

import socket
from datetime import UTC, datetime

import pytest

from agents import selectors
from agents.models import RunState
from agents.registry import Proposal, propose
from agents.registry.writing import agent_text
from audit.services import Actor
from countersign.accounts.models import Workspace
from countersign.accounts.scopes import Scope
from countersign.accounts.selectors import roles_of, workspaces_of
from countersign.accounts.services import token_authenticate
from countersign.demo import client, model, people, setting, start
from countersign.demo.model import DemoModel
from countersign.demo.start import DemoError
from countersign.demo.vendors import WEEKS
from countersign.management.commands import demo
from policies import selectors as policies
from policies.errors import Refusal
from policies.models import Answer, ApprovalRequest, Meaning
from policies.services import change_apply, vote_cast
from tests.harness.server import Clone

SCRIPTED = DemoModel("scripted-accounts-payable", "http://127.0.0.1:1/v1", "", "scripted_model")


@pytest.fixture
def workspace(committing_database: Clone) -> Workspace:
    for name in ("passwords.json", "token"):
        (setting.folder() / name).unlink(missing_ok=True)
    return start.workspace_ready(SCRIPTED)


def test_cast_has_its_roles_and_passwords_stay_private(workspace: Workspace) -> None:
    roles = {part.username: roles_of(people.person(part.username).id, workspace.id)
             for part in people.CAST}  # fmt: skip
    assert all(set(part.roles) <= roles[part.username] for part in people.CAST)
    assert set(people.passwords()) == {part.username for part in (*people.CAST, people.MALLORY)}
    assert (setting.folder() / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_token_speaks_for_a_program_of_this_workspace(workspace: Workspace) -> None:
    assert client.token_file().stat().st_mode & 0o777 == 0o600
    raw = client.token_file().read_text().strip()
    context = token_authenticate(raw=raw, now=datetime.now(UTC))
    assert not isinstance(context, Refusal)
    assert context.workspace_id == workspace.id
    assert context.require(Scope.RUNS_START) is None
    assert context.require(Scope.REGISTRY_CHANGE) is not None


def test_mallory_is_in_another_workspace_only(workspace: Workspace) -> None:
    mallory = people.person("mallory")
    assert [found.slug for found in workspaces_of(mallory)] == [people.OTHER_SLUG]
    assert roles_of(mallory.id, workspace.id) == frozenset()


def test_second_start_keeps_passwords_and_makes_no_version(workspace: Workspace) -> None:
    before, token = people.passwords(), client.token_file().read_text()
    assert start.workspace_ready(SCRIPTED).id == workspace.id
    assert people.passwords() == before
    assert client.token_file().read_text() == token
    [agent] = selectors.agents(workspace.id)
    assert (agent.version.name, agent.version.number) == (start.AGENT, 1)
    assert agent.version.endpoint.scripted


def test_real_model_is_proposed_once_and_makes_a_version_when_carol_signs(
    workspace: Workspace,
) -> None:
    real = DemoModel("large-2026", "https://models.example/v1", "env:OPENAI_API_KEY", "")
    for _ in range(2):
        with pytest.raises(DemoError, match="log in as carol"):
            start.workspace_ready(real)
    [request] = policies.requests(workspace.id)
    sign(workspace, request)
    start.workspace_ready(real)
    [agent] = selectors.agents(workspace.id)
    assert agent.version.number == 2
    assert not agent.version.endpoint.scripted
    assert agent.version.endpoint.api_key_ref == "env:OPENAI_API_KEY"


def test_what_people_changed_since_is_left_alone(workspace: Workspace) -> None:
    alice = people.person("alice")
    found = propose(
        workspace_id=workspace.id,
        text=agent_text(workspace.id, start.AGENT, {"goal": "Pay nobody."}),
        actor=Actor("user", str(alice.id), alice.name),
        now=datetime.now(UTC),
    )
    assert isinstance(found, Proposal)
    assert found.request is not None
    sign(workspace, found.request)
    start.workspace_ready(SCRIPTED)
    [agent] = selectors.agents(workspace.id)
    assert (agent.version.number, agent.version.goal) == (2, "Pay nobody.")
    assert policies.requests(workspace.id) == []


def sign(workspace: Workspace, request: ApprovalRequest) -> None:
    carol, now = people.person("carol"), datetime.now(UTC)
    signed = vote_cast(
        workspace_id=workspace.id,
        request_id=request.id,
        voter=Actor("user", str(carol.id), carol.name),
        answer=Answer.SIGN,
        meaning=Meaning.APPROVED,
        comment="",
        displayed_digest=request.displayed_digest,
        reauthenticated_at=now,
        now=now,
    )
    assert signed.completed
    assert change_apply(workspace_id=workspace.id, request_id=request.id, now=now) is None


def test_each_run_takes_the_next_week_until_there_is_none(workspace: Workspace) -> None:
    started = [start.run_new(workspace.id) for _ in WEEKS]
    assert [run.inputs["week"] for run in started if run] == list(WEEKS)
    assert all(run.state is RunState.QUEUED for run in started if run)
    assert start.run_new(workspace.id) is None
    newest = start.run_open(workspace.id)
    assert newest is not None
    assert newest.inputs["week"] == WEEKS[-1]


def test_scripted_model_keeps_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    first, again = model.chosen(), model.chosen()
    assert first == again
    assert first.scripted
    with socket.create_server(("127.0.0.1", model.scripted_port())):
        assert model.chosen() == first


def test_key_in_the_environment_chooses_a_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    monkeypatch.setenv("OPENAI_MODEL", "large-2026")
    chosen = model.chosen()
    assert chosen == DemoModel("large-2026", "https://models.example/v1", "env:OPENAI_API_KEY", "")
    assert not chosen.scripted


def test_what_the_time_went_into_is_said_in_parts() -> None:
    assert demo._took(100.0, 101.2, 113.0, 117.4) == (
        "\nReady in 17 s: install 1 s, start 12 s, run 4 s."
    )
