"""`manage.py audit_sequencer`: give log entries their places, sign and anchor the trees."""

import signal
from argparse import ArgumentParser
from types import FrameType

from django.core.management.base import BaseCommand, CommandError

from audit import checkpoints
from audit.anchors import registry
from audit.daemon import Daemon
from audit.errors import AuditError, HistoryConflict
from audit.sequencer import Sequencer
from audit.transactions import alias


class Command(BaseCommand):
    help = "Give log entries their places, sign checkpoints, bring them to the anchors."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="place and sign what there is, then end"
        )

    def handle(self, *args: object, once: bool, **options: object) -> None:
        using = alias("sequencer")
        try:
            if once:
                self._once(using)
                return
            daemon = Daemon(using, registry.configured())

            def end(number: int, frame: FrameType | None) -> None:
                daemon.stop.set()

            signal.signal(signal.SIGTERM, end)
            signal.signal(signal.SIGINT, end)
            daemon.run()
        except HistoryConflict as error:
            raise CommandError(f"The log's history is in doubt: {error}", returncode=3) from error
        except AuditError as error:
            raise CommandError(str(error)) from error

    def _once(self, using: str) -> None:
        sequencer = Sequencer(using)
        sequencer.lock()
        checkpoints.require_history(using)
        placed = sequencer.catch_up()
        signed = checkpoints.sign_due(using, everything=True)
        placed += sequencer.catch_up()
        sequencer.unlock()
        self.stdout.write(f"{placed} entries placed, {len(signed)} trees signed")
