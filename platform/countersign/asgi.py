"""Entry point of the web server: ``uvicorn countersign.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

from countersign import telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
application = get_asgi_application()
telemetry.start("web")
