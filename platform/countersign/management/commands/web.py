"""``manage.py web``: the web server in the foreground."""

from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Serve console and API in the foreground (COUNTERSIGN_LISTEN, COUNTERSIGN_PORT)."

    def handle(self, *args: Any, **options: Any) -> None:
        uvicorn.run(
            "countersign.asgi:application",
            host=settings.COUNTERSIGN_LISTEN,
            port=settings.COUNTERSIGN_PORT,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Event streams never end by themselves.
            timeout_graceful_shutdown=3,
        )
