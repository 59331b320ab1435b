"""The pool of connections: what the server has closed is not handed out."""

import os
import subprocess
import sys
from pathlib import Path

from tests.harness.server import ROOT, Clone, Server

ASKS_TWICE = """
import django
django.setup()
from django.db import connection
for _ in range(2):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        print(*cursor.fetchone(), flush=True)
    connection.close()  # back into the pool
    input()
"""


def test_a_connection_that_the_server_closed_meanwhile_is_not_handed_out(
    committing_database: Clone, database_server: Server, tmp_path: Path
) -> None:
    """Else the first task of each worker after a restart of the database would fail."""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "countersign.settings",
        "COUNTERSIGN_HOME": str(tmp_path / "home"),
        **committing_database.environment(),
    }
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKS_TWICE],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert asking.stdin is not None
    assert asking.stdout is not None
    first = int(asking.stdout.readline())
    with database_server.admin.connect("postgres") as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    asking.stdin.write("\n")
    asking.stdin.flush()
    second = asking.stdout.readline()
    _, said = asking.communicate("\n\n", timeout=30)
    assert second.strip().isdigit(), said
    assert int(second) != first
