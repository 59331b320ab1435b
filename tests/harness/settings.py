"""The real settings, with everything they make in a folder of this test session's own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

SESSION_FOLDER = Path(tempfile.mkdtemp(prefix="countersign-test-"))
# The database's own user must be able to pass through.
SESSION_FOLDER.chmod(0o711)
atexit.register(shutil.rmtree, SESSION_FOLDER, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith("COUNTERSIGN_")]:
    del os.environ[_name]
os.environ["COUNTERSIGN_HOME"] = str(SESSION_FOLDER / "home")
# Messages of the test process itself go nowhere; a test that needs a worker starts one.
os.environ["COUNTERSIGN_BROKER_URL"] = "memory://"

from countersign.settings import *  # noqa: E402, F403
from countersign.settings import DATABASES  # noqa: E402

# A pool would hold connections to databases that are dropped after their test.
for _database in DATABASES.values():
    _database["OPTIONS"].pop("pool", None)
    # Until a fixture points it at a database of its own, there is nothing to reach.
    _database["HOST"] = str(SESSION_FOLDER / "no-database")

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
