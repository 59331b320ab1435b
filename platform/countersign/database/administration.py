"""Who sets up the database of this installation, and with what."""

from django.conf import settings
from psycopg.errors import InsufficientPrivilege

from countersign.database import setup
from countersign.database.administrator import Administrator
from countersign.database.announcement import announced
from countersign.database.roles import LOGINS, Role, missing
from countersign.embedded.cluster import SUPERUSER, Cluster
from countersign.embedded.location import PORT

ALIASES = {
    Role.APP: "default",
    Role.READER: "reader",
    Role.SEQUENCER: "sequencer",
    Role.ERASER: "eraser",
}

OF_DJANGO = frozenset({"pool", "server_side_binding", "prepare_threshold"})
"""Options of a database that are not libpq's."""


def embedded_cluster() -> Cluster:
    """Return the database server of this installation, running or not."""
    log = settings.HOME.folder("log") / "database.log"
    return Cluster(settings.COUNTERSIGN_DATABASE_LOCATION, log)


def administrator() -> Administrator:
    """Return who may set the database up.

    Raises:
        setup.SetupError: The database is an external one and ``COUNTERSIGN_OWNER_URL`` is not set.
    """
    name = str(settings.DATABASES["default"]["NAME"])
    if settings.COUNTERSIGN_EMBEDDED:
        parameters = {
            "host": str(settings.COUNTERSIGN_DATABASE_LOCATION.socket),
            "port": str(PORT),
            "user": SUPERUSER,
            "password": settings.HOME.secret("database_superuser"),
        }
        return Administrator(parameters, name)
    if not settings.COUNTERSIGN_OWNER:
        raise setup.SetupError(
            "set COUNTERSIGN_OWNER_URL to the address of a user who may act as countersign_owner"
        )
    parameters = dict(settings.COUNTERSIGN_OWNER)
    return Administrator(parameters, name, maintenance=parameters.pop("dbname"))


def application() -> dict[str, str]:
    """Return libpq's key-values of the application role."""
    database = settings.DATABASES["default"]
    options = {k: v for k, v in database["OPTIONS"].items() if k not in OF_DJANGO}
    fields = {
        "host": database["HOST"],
        "port": database["PORT"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "dbname": database["NAME"],
    }
    return {k: str(v) for k, v in {**options, **fields}.items() if v}


def passwords() -> dict[Role, str]:
    """Return the password of each role that logs in; empty where none was given."""
    return {role: str(settings.DATABASES[ALIASES[role]]["PASSWORD"]) for role in LOGINS}


def start_embedded() -> None:
    """Make and start the embedded server; roles and database exist afterwards."""
    cluster = embedded_cluster()
    cluster.create(settings.HOME.secret("database_superuser"))
    cluster.start()


def bring_up_to_date(*, verbosity: int = 0) -> None:
    """Roles, database, migrations, queue and privileges, on a server that runs.

    Raises:
        setup.SetupError: The operator's to mend; the message says what to do.
    """
    admin = administrator()
    try:
        setup.provision(admin, passwords())
    except InsufficientPrivilege as refused:
        with admin.connect(admin.maintenance) as connection:
            wrong = missing(connection)
        raise setup.SetupError(
            "\n".join([f"{admin.parameters['user']} may not set up the roles: {refused}", *wrong])
        ) from refused
    with announced(admin):
        setup.migrate(admin, application(), verbosity=verbosity)
