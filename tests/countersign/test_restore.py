"""A backup comes back by the commands of the runbook, read from it and run as they stand there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from audit.verify import verify_log
from countersign.database.administrator import Administrator
from countersign.database.setup import migrate
from countersign.embedded.binaries import programs
from tests.audit.history import History
from tests.countersign.accounts.cast import Cast
from tests.harness.server import ROOT, Clone, Server

RUNBOOK = (ROOT / "deploy" / "docs" / "operate.md").read_text()


@pytest.fixture
def administrator(committing_database: Clone, database_server: Server) -> Administrator:
    return Administrator(database_server.admin.parameters, committing_database.name)


def told(program: str) -> str:
    """The runbook's command with this program, continued lines and all."""
    [command] = re.findall(rf"^\$bin/{program} (?:.*\\\n)*.*$", RUNBOOK, flags=re.MULTILINE)
    return str(command)


def run(command: str, administrator: Administrator, folder: Path) -> None:
    """Run it as the runbook has set the shell up, for this database."""
    known = administrator.parameters
    environment = {
        "PATH": os.environ["PATH"],
        "bin": str(programs()),
        "PGHOST": known["host"],
        "PGPORT": known["port"],
        "PGUSER": known["user"],
        "PGPASSWORD": known["password"],
    }
    ours = re.sub(r"\bcountersign\b(?!\.)", administrator.database, command)
    made = subprocess.run(
        ["sh", "-euc", ours],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def test_a_backup_is_restored_as_the_runbook_says(
    committing_cast: Cast,
    committing_database: Clone,
    administrator: Administrator,
    tmp_path: Path,
) -> None:
    history = History(committing_cast.acme.id)
    history.run()
    history.sign()
    before = verify_log(history.workspace)
    run(told("pg_dump"), administrator, tmp_path)
    history.run()
    connections.close_all()
    run(told("psql"), administrator, tmp_path)
    run(told("pg_restore"), administrator, tmp_path)
    given = conninfo_to_dict(committing_database.url("app"))
    migrate(administrator, {name: str(value) for name, value in given.items()})
    call_command("check", databases=["default"], fail_level="ERROR")
    restored = verify_log(history.workspace)
    assert restored.clean
    assert (restored.size, restored.root) == (before.size, before.root)
    history.run()
    assert history.place() > 0
