"""``manage.py database_start``: run the embedded database in the background."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.database.administration import embedded_cluster, start_embedded
from countersign.embedded.cluster import ClusterError


class Command(BaseCommand):
    help = "Make the embedded database if there is none, and start it unless it runs."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.COUNTERSIGN_EMBEDDED:
            raise CommandError("COUNTERSIGN_DATABASE_URL names an external database.")
        try:
            start_embedded()
        except ClusterError as error:
            raise CommandError(str(error)) from error
        cluster = embedded_cluster()
        self.stdout.write(f"The database runs (process {cluster.running()}).")
