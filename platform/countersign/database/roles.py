"""The database's roles: who may connect, and what each can do at most.

Guarantees: nobody logs in as the role that owns the tables, no role of ours is a superuser or
may make roles or databases, and only roles that must see every workspace are above row-level
security. What each may do to a table stands in ``access``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from psycopg import Connection, sql


class Role(StrEnum):
    """A role of the database server."""

    OWNER = "countersign_owner"
    """Owns every table; nobody logs in as it."""
    APP = "countersign_app"
    """Web, worker and scheduler."""
    READER = "countersign_reader"
    """Verification and export: reads every workspace, writes nothing."""
    SEQUENCER = "countersign_sequencer"
    """Gives log entries their positions."""
    ERASER = "countersign_eraser"
    """Destroys the keys of a data subject."""
    LOOKUP = "countersign_lookup"
    """Owns the few functions that look across workspaces; nobody logs in as it."""


@dataclass(frozen=True)
class Attributes:
    login: bool
    bypass_rls: bool


ATTRIBUTES: Mapping[Role, Attributes] = {
    Role.OWNER: Attributes(login=False, bypass_rls=False),
    Role.APP: Attributes(login=True, bypass_rls=False),
    Role.READER: Attributes(login=True, bypass_rls=True),
    Role.SEQUENCER: Attributes(login=True, bypass_rls=True),
    Role.ERASER: Attributes(login=True, bypass_rls=True),
    Role.LOOKUP: Attributes(login=False, bypass_rls=True),
}
LOGINS = tuple(role for role, attributes in ATTRIBUTES.items() if attributes.login)


def create_roles(admin: Connection, passwords: Mapping[Role, str]) -> None:
    """Make the missing roles and correct those that differ; changes nothing that fits.

    Args:
        admin: A connection that may make roles, outside a transaction.
        passwords: One per role that logs in; an empty one is left as it is.

    Raises:
        psycopg.errors.InsufficientPrivilege: ``admin`` may not.
    """
    found = _found(admin)
    for role, attributes in ATTRIBUTES.items():
        if role not in found:
            admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        if found.get(role) != attributes:
            admin.execute(_alter(role, attributes))
        if attributes.login and passwords[role]:
            _set_password(admin, role, passwords[role])
    if not admin.execute(
        "SELECT 1 FROM pg_roles WHERE rolsuper AND rolname = current_user"
    ).rowcount:
        # An administrator who is no superuser acts as the owner only as its member.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(Role.OWNER)))
    # So that the owner can hand functions over to the role that may look across workspaces.
    admin.execute(
        sql.SQL("GRANT {} TO {}").format(sql.Identifier(Role.LOOKUP), sql.Identifier(Role.OWNER))
    )


def missing(connection: Connection) -> list[str]:
    """Return what is wrong with the roles of this server, one sentence each."""
    found = _found(connection)
    absent = [f"role {role} does not exist" for role in Role if role not in found]
    wrong = [
        f"role {role} is {found[role]}, should be {wanted}"
        for role, wanted in ATTRIBUTES.items()
        if role in found and found[role] != wanted
    ]
    return absent + wrong


def _found(connection: Connection) -> dict[Role, Attributes]:
    rows = connection.execute(
        "SELECT rolname, rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = ANY(%s)",
        [[str(role) for role in Role]],
    )
    return {Role(name): Attributes(login, bypass) for name, login, bypass in rows}


def _alter(role: Role, attributes: Attributes) -> sql.Composed:
    words = [
        "LOGIN" if attributes.login else "NOLOGIN",
        "BYPASSRLS" if attributes.bypass_rls else "NOBYPASSRLS",
    ]
    return sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role), sql.SQL(" ".join(words)))


def _set_password(admin: Connection, role: Role, password: str) -> None:
    # Only the SCRAM verifier travels, so that no server log ever holds the password.
    verifier = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    admin.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )
