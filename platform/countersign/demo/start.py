"""Brings the demo to the point where a person must countersign; each step may be repeated.

1. The service runs, with the scripted model where no other is given.
2. The books are in their schema, the suppliers' files in the inbox.
3. Both workspaces have their people; tools, model and agent are registered.
4. A run waits for its signatures: an open one, or a new one for the next week.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

from django.conf import settings
from django.core.management import call_command
from django.urls import reverse

from agents import registry, selectors, services
from agents.models import FINAL_STATES, RunState
from agents.registry.looking import look
from agents.registry.writing import agent_text
from agents.selectors import ApprovalView, RunDetail, StepView
from audit.services import Actor
from countersign.accounts.models import Workspace
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.database.administration import administrator
from countersign.demo import client, install, people, registration, setting
from countersign.demo.generator import generate
from countersign.demo.model import PROCESS, DemoModel
from countersign.demo.vendors import WEEKS
from countersign.embedded.supervisor import Claim, state_of, stop_other
from countersign.management.commands.up import web_answers
from policies import selectors as policies
from policies.errors import Refusal
from policies.models import OPEN_STATES, ApprovalRequest, Kind

AGENT = "Accounts payable"
RUN_TIMEOUT_S = 150.0
POLL_S = 0.1
RESTART_POLLS = 100
"""A web server that has just ended is back within seconds."""
OPEN = [state.value for state in RunState if state not in FINAL_STATES]
MOVING = frozenset({RunState.QUEUED, RunState.RUNNING})


class DemoError(Exception):
    """The demo cannot be brought up; the message says what to do."""


@dataclass(frozen=True)
class Arrived:
    """Where the demo's run stands; `request` is what waits for signatures, if anything."""

    run: RunDetail
    request: ApprovalView | None


def service_runs(model: DemoModel) -> None:
    """Start everything that is not running (step 1).

    Raises:
        DemoError: something else listens where our web server should.
    """
    if Claim(settings.HOME).holder() is not None:
        if not model.process or PROCESS in state_of(settings.HOME):
            _listens_here()
            return
        stop_other(settings.HOME)
    if web_answers():
        raise DemoError(
            f"Port {settings.COUNTERSIGN_PORT} is taken by another program; "
            "choose one by COUNTERSIGN_PORT=8123 make demo"
        )
    also = [model.process] if model.process else []
    call_command("up", background=True, also=also, stdout=StringIO())


def _listens_here() -> None:
    """Whoever comes back without the port they chose would be sent to another address.

    Raises:
        DemoError: what runs is not where the settings say.
    """
    for _ in range(RESTART_POLLS):
        if web_answers():
            return
        time.sleep(POLL_S)
    raise DemoError(
        f"The demo runs, but not at port {settings.COUNTERSIGN_PORT}. Give the port that it was "
        "started with (COUNTERSIGN_PORT=8123 make demo), or stop it first: make demo-stop"
    )


def books_installed() -> None:
    """Put the books where the tools find them (step 2).

    Raises:
        DemoError: the database holds books of another edition.
    """
    admin, password = administrator(), settings.HOME.secret("database_demo")
    books = generate()
    with admin.connect() as connection:
        match install.installed(connection):
            case None:
                install.install(connection, password, books, setting.inbox())
            case found if found != install.edition(books):
                raise DemoError("The demo was made by another version; run: make demo-reset")
    install.write_credential(setting.login_file(), admin.parameters, admin.database, password)


def workspace_ready(model: DemoModel) -> Workspace:
    """Make people and workspaces, and register what the agent is made of (step 3).

    Raises:
        DemoError: the model is not what it was, and the change waits for a signature.
    """
    workspace = people.prepare()
    client.ensure_token(workspace.id)
    if not registry.is_set_up(workspace.id):
        text = registration.text(model)
        registry.register(workspace_id=workspace.id, text=text, actor=COMMAND_LINE)
        return workspace
    text = registration.model_text(model)
    if not look(workspace.id, text).changes:
        return workspace
    # The agent as people have made it since, with the newest model.
    request = _proposed(workspace.id, text + agent_text(workspace.id, AGENT))
    if request is not None:
        path = reverse("console:approval_card", args=[people.SLUG, request.id])
        raise DemoError(
            "The model is another than this demo was set up with, and a change needs a second "
            f"person:\nlog in as carol, sign {settings.COUNTERSIGN_URL}{path} and start the demo "
            "again; or start afresh: make demo-reset demo"
        )
    return workspace


def _proposed(workspace_id: UUID, text: str) -> ApprovalRequest | None:
    """What waits for a signature before `text` is registered; Alice asks where nobody has."""
    for request in policies.requests(workspace_id):
        if request.kind == Kind.CHANGE and request.binding.get("text") == text:
            return request
    alice = people.person("alice")
    found = registry.propose(
        workspace_id=workspace_id,
        text=text,
        actor=Actor("user", str(alice.id), alice.name),
        now=datetime.now(UTC),
    )
    if isinstance(found, Refusal):
        raise DemoError(found.sentence)
    return found.request


def run_open(workspace_id: UUID) -> RunDetail | None:
    """The demo's run that has not ended, newest first."""
    page = selectors.runs(workspace_id, states=OPEN, agent=AGENT, limit=1)
    return selectors.run(workspace_id, page.rows[0].id) if page.rows else None


def run_new(workspace_id: UUID) -> RunDetail | None:
    """Start a run as Alice for the first week that has none; None when every week has one."""
    alice = people.person("alice")
    done = {
        str(selectors.run(workspace_id, row.id).inputs.get("week"))
        for row in selectors.runs(workspace_id, agent=AGENT, limit=200).rows
    }
    week = next((week for week in WEEKS if week not in done), None)
    if week is None:
        return None
    started = services.run_start(
        workspace_id=workspace_id,
        agent=AGENT,
        requester=Actor("user", str(alice.id), alice.name),
        inputs={"week": week, "report_to": alice.email},
    )
    return selectors.run(workspace_id, started.run.id)


def arrive(run: RunDetail, workspace_id: UUID, tell: Callable[[StepView], None]) -> Arrived:
    """Follow a run until it waits for people or has ended; `tell` hears of each step once.

    Raises:
        DemoError: it does neither for a long time.
    """
    deadline = time.monotonic() + RUN_TIMEOUT_S
    told = 0
    while True:
        run = selectors.run(workspace_id, run.id)
        for step in selectors.steps(workspace_id, run.id, after=told):
            if step.ended is not None or step.state == "awaiting_approval":
                tell(step)
                told = step.number
        if run.state not in MOVING:
            return Arrived(run, _waiting(workspace_id, run.id))
        if time.monotonic() > deadline:
            logs = settings.COUNTERSIGN_HOME / "log"
            raise DemoError(f"The run does not move (state {run.state}); see {logs}")
        time.sleep(POLL_S)


def _waiting(workspace_id: UUID, run_id: UUID) -> ApprovalView | None:
    requests = [r for step in selectors.steps(workspace_id, run_id) for r in step.approvals]
    return next((r for r in reversed(requests) if r.state in OPEN_STATES), None)
