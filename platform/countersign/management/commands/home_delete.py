"""``manage.py home_delete``: stop this installation and delete everything it made."""

import shutil
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.database.administration import embedded_cluster
from countersign.embedded.supervisor import stop_other


class Command(BaseCommand):
    help = "Delete the home folder and the embedded database: secrets, logs, data, everything."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        home = settings.COUNTERSIGN_HOME
        if not options["yes"] and input(f"Delete {home} with its database? [yes/no] ") != "yes":
            raise CommandError("Nothing was deleted.")
        stop_other(settings.HOME)
        if settings.COUNTERSIGN_EMBEDDED:
            cluster = embedded_cluster()
            cluster.stop()
            cluster.delete()
        shutil.rmtree(home)
        self.stdout.write(f"Deleted {home}.")
