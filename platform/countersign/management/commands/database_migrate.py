"""``manage.py database_migrate``: roles, database, schema, queue and privileges, up to date."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.database.administration import bring_up_to_date, embedded_cluster
from countersign.database.setup import SetupError


class Command(BaseCommand):
    help = "Bring roles, database, schema, queue and privileges up to date; repeat it freely."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.COUNTERSIGN_EMBEDDED and embedded_cluster().running() is None:
            raise CommandError("The database does not run; start it by: manage.py database_start")
        try:
            bring_up_to_date(verbosity=options["verbosity"])
        except SetupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The database is up to date.")
