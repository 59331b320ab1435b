"""What tests stand on: a real PostgreSQL, as the application's role, never as the owner.

``database``: the test runs in one transaction of a shared clone, rolled back at its end.
``committing_database``: the test has a clone of its own, with real commits; for workers, threads,
subprocesses and browsers. A test that asks for neither starts no server and can reach none.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from tests.benchmarks.result import MEASURED, Result
from tests.countersign.accounts.cast import Cast, cast_on_stage, make_cast
from tests.harness.server import Clone, Server, pointed_at, with_own_heads
from tests.harness.settings import SESSION_FOLDER


@pytest.fixture(scope="session")
def database_server(django_db_blocker: DjangoDbBlocker) -> Iterator[Server]:
    """The session's own server with its migrated template."""
    server = Server(SESSION_FOLDER)
    try:
        with django_db_blocker.unblock():
            server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_clone(database_server: Server) -> Clone:
    """The clone in which every test that commits nothing runs."""
    return database_server.clone()


@pytest.fixture
def database(shared_clone: Clone, django_db_blocker: DjangoDbBlocker) -> Iterator[Clone]:
    """The application's connection, in a transaction that is rolled back after the test."""
    with django_db_blocker.unblock(), pointed_at(shared_clone), with_own_heads(shared_clone):
        block = transaction.atomic()
        block.__enter__()
        try:
            yield shared_clone
        finally:
            transaction.set_rollback(True)
            block.__exit__(None, None, None)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Path]:
    """A folder for an anchor that writes once; its files can be removed again after the test."""
    folder = tmp_path / "vault"
    yield folder
    if folder.exists():
        unlock = ["chattr", "-R", "-i", str(folder)]
        subprocess.run(unlock, check=False, capture_output=True)


@pytest.fixture
def committing_database(
    database_server: Server, django_db_blocker: DjangoDbBlocker
) -> Iterator[Clone]:
    """A database of this test's own; ``.environment()`` lets a subprocess use it."""
    clone = database_server.clone()
    try:
        with django_db_blocker.unblock(), pointed_at(clone), with_own_heads(clone):
            yield clone
    finally:
        database_server.drop(clone)


@pytest.fixture
def cast(database_server: Server, django_db_blocker: DjangoDbBlocker) -> Iterator[Cast]:
    """Alice, Bob, Carol, Dan, Mallory and the others, in a transaction that is rolled back."""
    with cast_on_stage(database_server, django_db_blocker) as cast:
        yield cast


@pytest.fixture
def committing_cast(committing_database: Clone) -> Cast:
    """The same people in a database of this test's own."""
    return make_cast()


@pytest.fixture
def measured() -> list[Result]:
    """Where a soak harness puts its numbers; ``make soak`` keeps them."""
    return MEASURED
