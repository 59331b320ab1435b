"""``manage.py database_stop``: stop the embedded database."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.database.administration import embedded_cluster
from countersign.embedded.cluster import ClusterError


class Command(BaseCommand):
    help = "Stop the embedded database; open transactions are rolled back."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.COUNTERSIGN_EMBEDDED:
            raise CommandError("COUNTERSIGN_DATABASE_URL names an external database.")
        try:
            stopped = embedded_cluster().stop()
        except ClusterError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The database is stopped." if stopped else "No database was running.")
