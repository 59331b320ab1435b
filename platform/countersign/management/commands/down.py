"""``manage.py down``: stop what ``manage.py up`` runs for this home."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.embedded.supervisor import stop_other


class Command(BaseCommand):
    help = "Stop the processes of this installation, wherever `up` was started."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stopped = stop_other(settings.HOME)
        except TimeoutError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Countersign is stopped." if stopped else "Countersign was not running.")
