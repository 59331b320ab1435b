"""The project as a Django app: it carries the operator's commands and the start-up checks."""

import sys

from django.apps import AppConfig
from django.conf import settings


class CountersignConfig(AppConfig):
    name = "countersign"

    def ready(self) -> None:
        # Tasks declared in the rooms bind to the app that exists when they are first sent.
        from agents.tools import secrets  # noqa: PLC0415
        from countersign import celery, checks, telemetry  # noqa: F401, PLC0415

        telemetry.start_for(sys.argv)
        secrets.configure(secrets.local_secrets(settings.COUNTERSIGN_SECRET_FOLDERS))
