"""Takes the demo away, with the installation it lives in.

An audit log cannot lose a part of itself, so the demo goes as a whole, and only where nothing
else lives beside it.
"""

from django.conf import settings
from django.core.management import call_command

from countersign.database.administration import administrator, embedded_cluster, start_embedded
from countersign.demo import people
from countersign.embedded.supervisor import stop_other


class ResetRefusedError(Exception):
    """There is more here than the demo, or it cannot be known; the message says what to do."""


def reset() -> None:
    """Stop the installation and delete everything it made.

    Raises:
        ResetRefusedError: it is not the demo's alone.
    """
    if not settings.COUNTERSIGN_EMBEDDED:
        raise ResetRefusedError(
            "The database is an external one: drop it with the tool that made it, then run "
            "manage.py home_delete."
        )
    stop_other(settings.HOME)
    others = _other_workspaces() if embedded_cluster().exists() else []
    if others:
        embedded_cluster().stop()
        raise ResetRefusedError(
            f"This installation also holds the workspaces {', '.join(others)}: it is stopped, and "
            "nothing was deleted. make demo goes on; if all of it shall go: manage.py home_delete"
        )
    call_command("home_delete", yes=True)


def _other_workspaces() -> list[str]:
    start_embedded()
    admin = administrator()
    with admin.connect(admin.maintenance) as connection:
        found = connection.execute("SELECT datname FROM pg_database").fetchall()
    if (admin.database,) not in found:
        return []
    with admin.connect() as connection:
        made = connection.execute("SELECT to_regclass('public.accounts_workspace')").fetchone()
        if made == (None,):
            return []
        rows = connection.execute("SELECT slug FROM accounts_workspace ORDER BY slug").fetchall()
    return [slug for (slug,) in rows if slug not in (people.SLUG, people.OTHER_SLUG)]
