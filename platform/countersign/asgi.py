"""Entry point of the web server: ``uvicorn countersign.asgi:application``."""

import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

from countersign import heap, telemetry
from countersign.body_limit import limited

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
inner = get_asgi_application()
# Room for the rest of a form beside its files.
application = limited(inner, with_files=(settings.COUNTERSIGN_FILES_MB + 2) << 20)
telemetry.start("web")
# The first request would load them otherwise, into a heap that has settled.
import_module(settings.ROOT_URLCONF)
heap.settle()
