"""What each role may do to each table: the one list. What is not listed is refused.

Guarantees, after ``apply``: a table without a line here can be used by nobody but its owner;
nobody holds TRUNCATE, REFERENCES or TRIGGER; a table of ``WORKSPACE_TABLES`` shows and takes only
rows of the workspace that ``countersign.workspace`` names, and none while that is unset (of
``SHARED_TABLES`` the platform's own rows are seen everywhere).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Connection, sql

from countersign.database.roles import Role

SELECT, INSERT, UPDATE, DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"
READ = (SELECT,)
APPEND = (SELECT, INSERT)
"""Evidence: written once. Triggers of the rooms refuse the rest a second time."""
LINK = (SELECT, INSERT, DELETE)
EDIT = (SELECT, INSERT, UPDATE)
FULL = (SELECT, INSERT, UPDATE, DELETE)


@dataclass(frozen=True)
class Access:
    """Privileges on one table.

    ``lock``: a column the application may set, where a row is only ever locked
    (``SELECT … FOR UPDATE`` asks for the right to update something).
    """

    app: tuple[str, ...] = ()
    reader: tuple[str, ...] = ()
    sequencer: tuple[str, ...] = ()
    eraser: tuple[str, ...] = ()
    lookup: tuple[str, ...] = ()
    lock: str = ""

    def of(self, role: Role) -> tuple[str, ...]:
        return {
            Role.APP: self.app,
            Role.READER: self.reader,
            Role.SEQUENCER: self.sequencer,
            Role.ERASER: self.eraser,
            Role.LOOKUP: self.lookup,
        }.get(role, ())


TABLES: Mapping[str, Access] = {
    # Django and its contributed apps
    "auth_group": Access(app=FULL),
    "auth_group_permissions": Access(app=LINK),
    "auth_permission": Access(app=READ),
    "django_content_type": Access(app=READ),
    "django_migrations": Access(app=READ, reader=READ),
    "django_session": Access(app=FULL),
    "guardian_groupobjectpermission": Access(app=LINK),
    "guardian_userobjectpermission": Access(app=LINK),
    # People
    "accounts_appointment": Access(app=APPEND, reader=READ),
    "accounts_codeuse": Access(app=APPEND),
    "accounts_factor": Access(app=EDIT),
    "accounts_membership": Access(app=FULL, reader=READ),
    "accounts_notice": Access(app=EDIT),
    "accounts_ratewindow": Access(app=FULL),
    "accounts_recoverycode": Access(app=EDIT),
    "accounts_serviceaccount": Access(app=EDIT, reader=READ),
    "accounts_token": Access(app=EDIT),
    "accounts_user": Access(app=EDIT),
    "accounts_user_groups": Access(app=LINK),
    "accounts_user_user_permissions": Access(app=READ),
    "accounts_workspace": Access(app=EDIT, reader=READ),
    "accounts_workspacegrant": Access(app=LINK),
    # The log
    "audit_anchorstate": Access(app=READ, reader=READ, sequencer=EDIT),
    "audit_batch": Access(app=READ, reader=READ, sequencer=APPEND),
    "audit_checkpoint": Access(app=READ, reader=READ, sequencer=APPEND),
    "audit_entry": Access(app=APPEND, reader=READ, sequencer=APPEND, eraser=APPEND),
    "audit_export": Access(app=EDIT, reader=READ),
    "audit_hold": Access(app=EDIT, reader=READ, eraser=READ),
    "audit_payload": Access(app=APPEND, reader=READ, eraser=(SELECT, DELETE)),
    "audit_position": Access(app=READ, reader=READ, sequencer=APPEND),
    "audit_receipt": Access(app=READ, reader=READ, sequencer=APPEND),
    "audit_retention": Access(app=EDIT, reader=READ, eraser=READ),
    "audit_subjectkey": Access(app=APPEND, reader=READ, eraser=(SELECT, DELETE)),
    "audit_tile": Access(app=READ, reader=READ, sequencer=APPEND),
    "audit_verification": Access(app=EDIT, reader=READ),
    # Policies and approvals
    "policies_approval": Access(app=EDIT, reader=READ),
    "policies_approvalevent": Access(app=APPEND, reader=READ),
    "policies_approvalrequest": Access(app=EDIT, reader=READ),
    "policies_decisionrecord": Access(app=APPEND, reader=READ),
    "policies_policyactivation": Access(app=APPEND, reader=READ, lookup=READ),
    "policies_policyset": Access(app=APPEND, reader=READ, lock="created"),
    "policies_policysimulation": Access(app=EDIT, reader=READ),
    "policies_policyversion": Access(app=APPEND, reader=READ),
    "policies_proposalkey": Access(app=APPEND, reader=READ),
    "policies_vote": Access(app=APPEND, reader=READ),
    # Agents and their runs
    "agents_agent": Access(app=APPEND, reader=READ),
    "agents_agenttool": Access(app=APPEND, reader=READ),
    "agents_artifact": Access(app=APPEND, reader=READ),
    "agents_artifactcontent": Access(app=APPEND, reader=READ),
    "agents_agentversion": Access(app=APPEND, reader=READ),
    "agents_call": Access(app=EDIT, reader=READ),
    "agents_effectspend": Access(app=EDIT, reader=READ, lookup=READ),
    "agents_killswitch": Access(app=EDIT, reader=READ, lookup=READ),
    "agents_modelendpoint": Access(app=APPEND, reader=READ),
    "agents_registration": Access(app=APPEND, reader=READ),
    "agents_replay": Access(app=EDIT, reader=READ),
    "agents_run": Access(app=EDIT, reader=READ, lookup=READ),
    "agents_step": Access(app=EDIT, reader=READ),
    "agents_tool": Access(app=APPEND, reader=READ),
    "agents_toolversion": Access(app=APPEND, reader=READ),
}

WORKSPACE_TABLES = frozenset(
    name for name in TABLES if name.startswith(("audit_", "policies_", "agents_"))
)
"""Every row belongs to one workspace (column ``workspace_id``)."""

SHARED_TABLES = frozenset({"agents_killswitch"})
"""Rows without a workspace are the platform's: seen in every workspace, written in none."""

PLATFORM_TABLES = frozenset(
    {"accounts_appointment", "accounts_membership"}
    | {"accounts_serviceaccount", "accounts_workspacegrant"}
)
"""Name a workspace and are read before any is known, at login: no row-level security."""

FUNCTIONS: Mapping[str, tuple[Role, ...]] = {
    "countersign_runs_due(integer)": (Role.APP,),
    "countersign_switch(uuid, uuid, text, text, text)": (Role.APP, Role.READER),
    "countersign_policy(uuid)": (Role.APP, Role.READER),
    "countersign_effects(uuid, uuid, date)": (Role.APP,),
}
"""Functions of ``functions.sql`` with their argument types, and who may call them."""

GRANTEES = (Role.APP, Role.READER, Role.SEQUENCER, Role.ERASER, Role.LOOKUP)
POLICY = "one_workspace"


def apply(connection: Connection) -> None:
    """Make the privileges of every table exactly those of this module.

    Args:
        connection: Acts as the owner role, inside a transaction: nobody sees a state between.
    """
    present = tables(connection)
    _reset(connection, present)
    for name in sorted(present & TABLES.keys()):
        _grant(connection, name, TABLES[name])
    for name in sorted(present & WORKSPACE_TABLES):
        _confine(connection, name)
    for signature, roles in FUNCTIONS.items():
        _offer(connection, signature, roles)


def tables(connection: Connection) -> set[str]:
    """Return the names of all tables, views and partitions in our schema."""
    rows = connection.execute(
        "SELECT relname FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
    return {row[0] for row in rows}


def _reset(connection: Connection, present: set[str]) -> None:
    everyone = sql.SQL(", ").join([sql.SQL("PUBLIC"), *map(sql.Identifier, GRANTEES)])
    for what in ("ALL TABLES IN SCHEMA public", "ALL SEQUENCES IN SCHEMA public", "SCHEMA public"):
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.SQL(what), everyone))
    grantees = sql.SQL(", ").join(map(sql.Identifier, GRANTEES))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(grantees))
    # The owner of a function must be able to have made it where it stands.
    lookup = sql.Identifier(Role.LOOKUP)
    connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(lookup))
    definers = connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND pg_has_role(proowner, 'USAGE')"
    )
    # Not from the functions' owner: PostgreSQL replaces a function only for one who may call it.
    callers = sql.SQL(", ").join(
        [sql.SQL("PUBLIC"), *(sql.Identifier(role) for role in GRANTEES if role != Role.LOOKUP)]
    )
    for (signature,) in definers.fetchall():
        connection.execute(
            sql.SQL("REVOKE ALL ON FUNCTION {} FROM {}").format(sql.SQL(signature), callers)
        )


def _grant(connection: Connection, name: str, access: Access) -> None:
    table = sql.Identifier("public", name)
    for role in GRANTEES:
        privileges = access.of(role)
        if privileges:
            connection.execute(
                sql.SQL("GRANT {} ON {} TO {}").format(
                    sql.SQL(", ".join(privileges)), table, sql.Identifier(role)
                )
            )
        if INSERT in privileges:
            _grant_sequences(connection, name, role)
    if access.lock:
        connection.execute(
            sql.SQL("GRANT UPDATE ({}) ON {} TO {}").format(
                sql.Identifier(access.lock), table, sql.Identifier(Role.APP)
            )
        )


def _grant_sequences(connection: Connection, name: str, role: Role) -> None:
    rows = connection.execute(
        "SELECT s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid"
        " WHERE s.relkind = 'S' AND d.classid = 'pg_class'::regclass"
        " AND d.refobjid = %s::regclass",
        [f"public.{name}"],
    )
    for (sequence,) in rows.fetchall():
        connection.execute(
            sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(
                sql.Identifier("public", sequence), sql.Identifier(role)
            )
        )


def _confine(connection: Connection, name: str) -> None:
    table, policy = sql.Identifier("public", name), sql.Identifier(POLICY)
    # Compared as uuid, so that an index on the column serves; unset and empty are no workspace.
    current = "nullif(current_setting('countersign.workspace', true), '')::uuid"
    seen = written = f"workspace_id = {current}"
    if name in SHARED_TABLES:
        # The nil UUID is the platform, as in the log.
        seen = f"workspace_id IS NULL OR {seen}"
        written = f"coalesce(workspace_id, '00000000-0000-0000-0000-000000000000') = {current}"
    # FORCE: without it the owner would be above the policy.
    connection.execute(
        sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY").format(table)
    )
    connection.execute(sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(policy, table))
    connection.execute(
        sql.SQL("CREATE POLICY {} ON {} USING ({}) WITH CHECK ({})").format(
            policy, table, sql.SQL(seen), sql.SQL(written)
        )
    )


def _offer(connection: Connection, signature: str, roles: tuple[Role, ...]) -> None:
    function, owner = sql.SQL(signature), sql.Identifier(Role.LOOKUP)
    callers = sql.SQL(", ").join(map(sql.Identifier, roles))
    connection.execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(function))
    connection.execute(sql.SQL("ALTER FUNCTION {} OWNER TO {}").format(function, owner))
    connection.execute(
        sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}, {}").format(function, owner, callers)
    )
