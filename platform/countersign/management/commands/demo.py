"""``manage.py demo``: the sample workspace, up to the first countersignature."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from agents.errors import AgentsError
from agents.models import RunState
from agents.selectors import StepView
from countersign.accounts.errors import AccountsError
from countersign.database.administration import embedded_cluster
from countersign.database.setup import SetupError
from countersign.demo import client, model, people, reset, start
from countersign.demo.model import DemoModel
from countersign.demo.start import Arrived, DemoError
from countersign.embedded.cluster import ClusterError
from countersign.embedded.supervisor import stop_other

_FAULTS = (
    *(DemoError, reset.ResetRefusedError, AgentsError, AccountsError, ClusterError, SetupError),
    TimeoutError,
)


class Command(BaseCommand):
    help = (
        "Start the demo: a week of supplier invoices, an agent that pays what agrees, and the "
        "people who must countersign. Safe to run again."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--stop", action="store_true", help="stop it; everything is kept")
        what.add_argument("--reset", action="store_true", help="stop it and remove everything")
        parser.add_argument(
            "--began", type=float, default=None, metavar="UNIX_SECONDS",
            help="when installing began, for the seconds shown at the end",
        )  # fmt: skip

    def handle(self, *_: str, **options: Any) -> None:
        try:
            if options["stop"]:
                self._stop()
            elif options["reset"]:
                self._reset()
            else:
                self._start(options["began"])
        except _FAULTS as error:
            raise CommandError(str(error)) from error

    def _stop(self) -> None:
        stopped = stop_other(settings.HOME)
        if settings.COUNTERSIGN_EMBEDDED:
            embedded_cluster().stop()
        self._say("The demo is stopped; make demo goes on where it was." if stopped
                  else "The demo was not running.")  # fmt: skip

    def _reset(self) -> None:
        reset.reset()
        self._say("The demo is gone.")

    def _start(self, began: float | None) -> None:
        came = time.time()
        chosen = model.chosen()
        self._say("Starting database, web, worker, sequencer and scheduler …")
        start.service_runs(chosen)
        self._say("Preparing four weeks of supplier invoices, people and the agent …")
        start.books_installed()
        workspace = start.workspace_ready(chosen)
        started = time.time()
        run = start.run_open(workspace.id) or start.run_new(workspace.id)
        if run is None:
            self._ended_weeks(chosen)
            return
        self._say(f"{run.agent} works on week {run.inputs.get('week')}, for {run.requester_name} …")
        arrived = start.arrive(run, workspace.id, self._step)
        self._arrived(arrived)
        self._people(chosen)
        self._say(_took(came if began is None else began, came, started, time.time()))

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _step(self, step: StepView) -> None:
        state = str(step.state.label)
        self._say(f"  step {step.number}: {state}, {len(step.calls)} tool calls")

    def _arrived(self, arrived: Arrived) -> None:
        if arrived.request is None:
            run = arrived.run
            self._say(f"\nThe run is {run.state}. {run.reason}")
            self._say(f"  {_address('run_detail', run_id=run.id)}")
            if run.state is RunState.SUCCEEDED:
                self._say("Start another from the console, or afresh by: make demo-reset demo")
            return
        request = arrived.request
        self._say(f"\nWaiting for people: {request.title}")
        self._say(f"  {request.signed} of {request.needed} signed; nothing has been paid.")
        self._say(f"  {_address('approval_card', request_id=request.id)}")

    def _ended_weeks(self, chosen: DemoModel) -> None:
        self._say("\nEvery week has had its run. Start one from the console, or afresh by: "
                  "make demo-reset demo")  # fmt: skip
        self._people(chosen)

    def _people(self, chosen: DemoModel) -> None:
        known = people.passwords()
        self._say(f"\nConsole: {_address('overview')}\n")
        for part in (*people.CAST, people.MALLORY):
            password = known.get(part.username, "(made elsewhere)")
            self._say(f"  {part.username:<8} {password:<20} {part.does}")
        self._say(
            "\nNext: log in as bob, read the request and sign it with his password; then as erin.\n"
            "The payments are then made, once each. Rejecting works too: say why, and which\n"
            "invoice to leave out. Alice cannot sign her own run; Mallory does not see it."
        )
        self._say(
            f'\nOr by HTTP: curl -H "Authorization: Bearer $(cat {client.token_file()})" \\\n'
            f"    {settings.COUNTERSIGN_URL}/api/v1/runs"
        )
        if chosen.scripted:
            self._say(
                "\nThe model is scripted: it plays a recording over HTTP. Programs, policy, "
                "sandbox,\npayments and log are real. For a real model set OPENAI_API_KEY (and "
                "OPENAI_BASE_URL,\nOPENAI_MODEL)."
            )
        self._say("Stop: make demo-stop · afresh: make demo-reset")


def _took(began: float, came: float, started: float, ready: float) -> str:
    """What the time went into, from four moments in Unix seconds."""
    parts = {"install": came - began, "start": started - came, "run": ready - started}
    said = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in parts.items())
    return f"\nReady in {ready - began:.0f} s: {said}."


def _address(name: str, **values: object) -> str:
    path = reverse(f"console:{name}", kwargs={"slug": people.SLUG, **values})
    return f"{settings.COUNTERSIGN_URL}{path}"
