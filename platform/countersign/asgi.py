"""Entry point of the web server: ``uvicorn countersign.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
application = get_asgi_application()
