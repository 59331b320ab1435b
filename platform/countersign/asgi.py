"""Entry point of the web server: ``uvicorn countersign.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

from countersign import telemetry
from countersign.body_limit import limited

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
application = limited(get_asgi_application())
telemetry.start("web")
