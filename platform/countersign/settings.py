"""Settings of the Django project; the only module that reads the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[2]
SECRET_KEY = os.environ.get("COUNTERSIGN_SECRET_KEY", "")
DEBUG = False
INSTALLED_APPS: list[str] = []
USE_TZ = True
