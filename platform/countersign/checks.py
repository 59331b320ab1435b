"""What must be true before anything is served; ``manage.py check --database default`` asks all.

Checks of the settings run at every command. Those of the database run when a database is named,
and at every start by ``manage.py up``, before anything stands on it.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import OperationalError, connections

from countersign.database.inspection import differences, faults_of_session
from countersign.database.roles import ATTRIBUTES, Role
from countersign.database.setup import OLDEST_SERVER

SAFE: Sequence[tuple[str, str, object, str]] = (
    ("E001", "DEBUG", False, "DEBUG is on: error pages would show secrets."),
    ("E002", "ANONYMOUS_USER_NAME", None, "guardian has an anonymous user."),
    ("E006", "SESSION_COOKIE_HTTPONLY", True, "Scripts could read the session."),
    ("E007", "CELERY_ACCEPT_CONTENT", ["json"], "Messages could carry code (pickle)."),
)
MIGRATE = "Run: manage.py database_migrate"


@register(Tags.security)
def check_settings(**kwargs: Any) -> list[CheckMessage]:  # noqa: ANN401 - Django's signature
    return [
        Error(what, id=f"countersign.{number}")
        for number, name, safe, what in SAFE
        if getattr(settings, name) != safe
    ]


@register(Tags.database)
def check_database(
    *,
    databases: Sequence[str] | None = None,
    **kwargs: Any,  # noqa: ANN401 - Django's signature
) -> list[CheckMessage]:
    if "default" not in (databases or []):
        return []
    try:
        return _database()
    except OperationalError as error:
        hint = "Start it: manage.py up, or manage.py database_start"
        return [Error(f"No database: {error}.", hint=hint, id="countersign.E008")]


def _database() -> list[CheckMessage]:
    with connections["default"].cursor() as cursor:
        faults = faults_of_session(cursor)
        wrong = differences(cursor)
        cursor.execute("SELECT current_setting('server_version_num')::int")
        old = cursor.fetchone()[0] < OLDEST_SERVER
        cursor.execute("SELECT current_setting('fsync'), current_setting('full_page_writes')")
        durable = cursor.fetchone() == ("on", "on")
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname = ANY(%s)",
            [[str(r) for r, attributes in ATTRIBUTES.items() if not attributes.login]],
        )
        logins = [Role(row[0]) for row in cursor.fetchall()]
    return [
        *[Error(f"{fault}.", hint=MIGRATE, id="countersign.E003") for fault in faults],
        *[Error(f"{fault}.", hint=MIGRATE, id="countersign.E004") for fault in wrong],
        *([Error("PostgreSQL 15 or newer is needed.", id="countersign.E005")] if old else []),
        *([] if durable else [Warning("Commits are not on disk.", id="countersign.W001")]),
        *[Warning(f"{role} can log in.", hint=f"ALTER ROLE {role} NOLOGIN", id="countersign.W002")
          for role in logins],
    ]  # fmt: skip
