"""A connection with which the database is set up; the service itself never uses it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import psycopg
from django.db import connections
from psycopg import Connection

from audit.guards import MIGRATION_SETTING
from countersign.database.roles import Role

ALIAS = "owner"


@dataclass(frozen=True)
class Administrator:
    """How to connect as one who may set the database up.

    Attributes:
        parameters: libpq key-values without ``dbname``; never logged.
        database: The name of Countersign's database.
        maintenance: A database that exists before ours does.
    """

    parameters: Mapping[str, str]
    database: str
    maintenance: str = "postgres"

    def connect(self, database: str = "", *, role: Role | None = None) -> Connection:
        """Connect outside any transaction, to our database unless another is named."""
        options = f"-c role={role}" if role else ""
        return psycopg.connect(
            "",
            **{**self.parameters, "dbname": database or self.database, "options": options},  # type: ignore[arg-type]
            autocommit=True,
        )

    @contextmanager
    def as_owner(self) -> Iterator[str]:
        """Give Django a database alias that acts as the owner role; gone afterwards."""
        known = {"host", "port", "user", "password"}
        settings = deepcopy(connections.databases["default"])
        settings.update(
            NAME=self.database,
            USER=self.parameters["user"],
            PASSWORD=self.parameters.get("password", ""),
            HOST=self.parameters["host"],
            PORT=self.parameters.get("port", ""),
            OPTIONS={
                **{k: v for k, v in self.parameters.items() if k not in known},
                # Migrations may change the log; its guard lets through who says to be one.
                "options": f"-c role={Role.OWNER} -c {MIGRATION_SETTING}=on",
            },
        )
        connections.databases[ALIAS] = settings
        try:
            yield ALIAS
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.databases[ALIAS]
