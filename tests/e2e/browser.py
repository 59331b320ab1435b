"""People in real browsers, at the demo as `make demo` starts it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.harness.server import ROOT

SLUG = "accounts-payable"
PATIENCE_MS = 60_000
"""How long a page may take to show what must come, on a machine that has other things to do."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PICTURES = os.environ.get("SCREENSHOTS", "")
"""A folder, where screenshots are wanted: `SCREENSHOTS=deploy/docs/images pytest tests/e2e/…`."""


@dataclass(frozen=True)
class Demo:
    """One installation of its own with the demo in it."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def workspace(self) -> str:
        return f"{self.url}/w/{SLUG}"

    @property
    def passwords(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "demo" / "passwords.json").read_text())
        return found

    def manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the installation, with nothing of the test's own settings."""
        environment = {
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_HOME": str(self.home),
            "COUNTERSIGN_PORT": str(self.port),
        }
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def payments(self) -> list[str]:
        """The invoices that have a payment, one line per payment."""
        login = (self.home / "credentials" / "demo_bookkeeping").read_text()
        with psycopg.connect(login) as connection:
            rows = connection.execute("SELECT invoice FROM demo.payment_draft ORDER BY id")
            return [row[0] for row in rows.fetchall()]


@contextmanager
def demo(home: Path) -> Iterator[Demo]:
    """The demo, started as a person would, and gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    found = Demo(home, port)
    try:
        started = found.manage("demo")
        assert started.returncode == 0, started.stdout + started.stderr
        yield found
    finally:
        found.manage("home_delete", "--yes")


class Person:
    """One of the cast in a browser of their own."""

    def __init__(self, browser: Browser, demo: Demo, name: str, *, scripts: bool = True) -> None:
        self.demo = demo
        self.name = name
        self.context = browser.new_context(
            viewport={"width": 1440, "height": 900}, java_script_enabled=scripts
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        # A status such as 403 is told as an error too; the test looks at those itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def log_in(self) -> "Person":
        self.page.goto(f"{self.demo.url}/login")
        self.page.get_by_label("User name").fill(self.name)
        self.page.get_by_label("Password").fill(self.demo.passwords[self.name])
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page).to_have_url(f"{self.demo.workspace}/")
        return self

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.demo.workspace}/{path}")
        return self.page

    def picture(self, name: str, *, height: int = 900) -> None:
        """Keep what a screen of this height shows, where pictures are wanted."""
        if PICTURES:
            self.page.set_viewport_size({"width": 1440, "height": height})
            self.page.evaluate("window.scrollTo(0, 0)")
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png")


@contextmanager
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; Playwright's download is not needed."""
    program = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        found.close()
