"""The program `openssl`, for tests that want an outsider's word."""

import shutil
import subprocess
from pathlib import Path

import pytest


def openssl(arguments: str, folder: Path) -> None:
    """Run `openssl` in a folder; where it is missing, the test fails with what to do."""
    if shutil.which("openssl") is None:
        pytest.fail("openssl is missing; run: deploy/install-system-packages --tests")
    command = ["openssl", *arguments.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
