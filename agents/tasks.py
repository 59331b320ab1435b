"""The doorbell: Celery tasks carry only ids, PostgreSQL says what there is to do.

Losing every message loses no run: `sweep` rings again for whatever is due.
"""

import os
import threading
from datetime import UTC, datetime
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import connection

from agents import journal, loop, services, tracing
from agents.errors import ToolChanged
from agents.models import RunState
from agents.replay import service as replays
from agents.sandbox.errors import RuntimeBuildError, SandboxUnavailable
from agents.session import open_session
from agents.worker import leases
from agents.worker.endpoints import chat_model
from policies import selectors as policies

keeper = leases.Keeper()

SWEEP_LIMIT = 200
MAX_ATTEMPTS = 10
GAVE_UP = f"Given up: {MAX_ATTEMPTS} workers took this run and none got it further. See their logs."


@shared_task(name="agents.advance", ignore_result=True)
def advance(workspace_id: str, run_id: str) -> None:
    """Drive a run until it parks or ends, if there is anything to claim."""
    owner = f"{settings.COUNTERSIGN_WORKER_NAME}:{os.getpid()}:{threading.get_native_id()}"
    lease = leases.claim(workspace_id=UUID(workspace_id), run_id=UUID(run_id), owner=owner)
    if lease is None:
        return
    try:
        session = open_session(lease)
    except (ToolChanged, RuntimeBuildError) as error:
        journal.run_abandoned(lease, str(error))
        return
    if session.run.attempts > MAX_ATTEMPTS:
        journal.run_ended(session, RunState.FAILED, GAVE_UP)
        return
    message = advance.request.headers or {}
    with tracing.worked(session.run, message) as span, keeper.keeping(lease, session.stop):
        try:
            loop.advance(session, chat_model(session.version.endpoint))
        except SandboxUnavailable as error:
            journal.run_waits(session, f"No sandbox: {error}")
        tracing.left(span, session.run)


@shared_task(name="agents.sweep", ignore_result=True)
def sweep() -> None:
    """Ring for runs that are due, expire what nobody signed in time, renew what is outdated."""
    waiting = due()
    tracing.measures.runs_due.set(len(waiting))
    for workspace_id, run_id in waiting:
        advance.delay(workspace_id, run_id)
    for late in policies.approvals_due(datetime.now(UTC)):
        if late.run_id is not None:
            services.approval_lapse(workspace_id=late.workspace_id, request_id=late.request_id)
    for old in policies.approvals_outdated():
        if old.run_id is not None:
            services.approval_renew(workspace_id=old.workspace_id, request_id=old.request_id)


@shared_task(name="agents.replay", ignore_result=True)
def replay(workspace_id: str, replay_id: str) -> None:
    """Replay a run for a person who asked."""
    replays.replay_make(workspace_id=UUID(workspace_id), replay_id=UUID(replay_id))


def due() -> list[tuple[str, str]]:
    """Ids of runs, of any workspace, that no live worker holds and nobody is waited for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM countersign_runs_due(%s)", [SWEEP_LIMIT])
        return [(str(workspace_id), str(run_id)) for workspace_id, run_id in cursor.fetchall()]
