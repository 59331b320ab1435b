"""`manage.py scripted_model FILE`: a model that plays a recorded script, over HTTP."""

import signal
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.llm.script import ScriptError, load_script
from agents.llm.scripted import ScriptedServer


class Command(BaseCommand):
    """Serves a script until it is told to stop. The format is described in agents/llm/script.py."""

    help = "Plays a recorded script as a Chat Completions endpoint, for demos and tests."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the script (YAML or JSON)")
        parser.add_argument("--host", default="127.0.0.1", help="where to listen")
        parser.add_argument("--port", type=int, default=0, help="0 takes a free one")

    def handle(self, *_: Any, **options: Any) -> None:
        """Prints the address on one line, then serves."""
        try:
            script = load_script(options["file"])
            server = ScriptedServer(script, host=options["host"], port=options["port"])
        except (ScriptError, OSError) as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(f"{server.base_url} plays {script.model}")
        sys.stdout.flush()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("stopped")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
