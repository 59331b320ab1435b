"""What a process that serves has loaded is not walked by its garbage collector."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = "import countersign.asgi\n"
WORKER = (
    "import django; django.setup()\n"
    "from countersign.celery import app\n"
    "app.loader.init_worker()\n"
    "app.Worker(pool='solo')\n"
)
SAY = (
    "import gc, json, sys\n"
    "print(json.dumps([gc.get_freeze_count(), len(gc.get_objects()), gc.get_threshold()[0],\n"
    "    'agents.loop' in sys.modules, 'countersign.console.urls' in sys.modules]))\n"
)


@pytest.mark.parametrize("process", [WEB, WORKER], ids=["web", "worker"])
def test_what_is_loaded_at_the_start_is_out_of_the_collectors_sight(process: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", process + SAY],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.harness.settings", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    frozen, left, young, *loaded = json.loads(done.stdout.splitlines()[-1])
    assert frozen > 100_000
    assert left < frozen / 20
    assert young > 700
    assert loaded[0 if process == WORKER else 1]
