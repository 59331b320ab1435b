"""How Celery reaches its queue, which by default is pgmq in the same database."""

from collections.abc import Mapping

from psycopg.conninfo import make_conninfo


def broker_options(database: Mapping[str, object]) -> dict[str, object]:
    """Return the options of kombu's pgmq transport for a Django database.

    The database's other options do not reach pgmq: it keeps five fields of the address.
    """
    fields = {
        "host": database["HOST"],
        "port": database["PORT"] or 5432,
        "dbname": database["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"],
    }
    return {
        # pgmq parses this and puts the parts together again without quotes (`password={…}`):
        # quoted once more, they survive that.
        "conn_string": make_conninfo("", **{k: _quoted(str(v)) for k, v in fields.items()}),
        "init_extension": False,
        "use_notify": True,
        # Waiting inside a query would hold a connection and delay shutting down.
        "wait_time_seconds": 0,
        "polling_interval": 1.0,
        # Tasks are acknowledged before they run; this bounds only the moment in between.
        "visibility_timeout": 60,
        "pool_size": 4,
        "pool_timeout": 10,
    }


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
