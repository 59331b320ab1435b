"""Refusals the database makes, as SQL, and the check that they are in place.

The triggers are made by migrations, as the owner role. The event trigger needs a
superuser, so it is offered as SQL for the server's administrator (or the embedded
server's set-up): it refuses DDL on the log's tables, triggers and functions to everybody,
the owner included. It compares object ids, not names: `ALTER TABLE … SET SCHEMA` and
`RENAME` slip past a comparison of names.

A superuser who means it can disable an event trigger. That leaves evidence only through
the anchors.
"""

from collections.abc import Sequence

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections

MIGRATION_SETTING = "countersign.migration"
"""Set to "on" (transaction-local) by a migration that may change the log's tables."""

APPEND_ONLY = (
    "audit_entry",
    "audit_position",
    "audit_tile",
    "audit_batch",
    "audit_checkpoint",
    "audit_receipt",
)
"""Tables on which triggers refuse UPDATE, DELETE and TRUNCATE."""

EVENT_TRIGGER_SQL = r"""
DROP EVENT TRIGGER IF EXISTS audit_refuse_ddl;
DROP EVENT TRIGGER IF EXISTS audit_refuse_drop;
-- A schema of its own: DROP SCHEMA public CASCADE would take the guard along unasked.
CREATE SCHEMA IF NOT EXISTS countersign_guard;
DO $install$
DECLARE
    guarded oid[];
BEGIN
    SELECT array_agg(oid) INTO guarded FROM (
        SELECT oid FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'audit\_%'
        UNION ALL
        SELECT t.oid FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'audit\_%'
        UNION ALL
        SELECT oid FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'audit\_%'
    ) AS objects;
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION countersign_guard.refuse_ddl() RETURNS event_trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            guarded CONSTANT oid[] := %L;
            touched oid;
        BEGIN
            IF coalesce(current_setting('countersign.migration', true), '') = 'on' THEN
                RETURN;
            END IF;
            IF tg_event = 'sql_drop' THEN
                SELECT objid INTO touched FROM pg_event_trigger_dropped_objects()
                    WHERE objid = ANY(guarded) LIMIT 1;
            ELSE
                SELECT objid INTO touched FROM pg_event_trigger_ddl_commands()
                    WHERE command_tag NOT IN ('GRANT', 'REVOKE') AND (
                        objid = ANY(guarded)
                        OR objid IN (SELECT oid FROM pg_rewrite WHERE ev_class = ANY(guarded))
                        OR objid IN (SELECT oid FROM pg_trigger WHERE tgrelid = ANY(guarded))
                        OR objid IN (SELECT oid FROM pg_policy WHERE polrelid = ANY(guarded))
                    ) LIMIT 1;
            END IF;
            IF touched IS NOT NULL THEN
                RAISE EXCEPTION 'audit: %% on the log is refused', tg_tag
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
        END
        $body$
    $create$, guarded::text);
END
$install$;
CREATE EVENT TRIGGER audit_refuse_ddl ON ddl_command_end
    EXECUTE FUNCTION countersign_guard.refuse_ddl();
CREATE EVENT TRIGGER audit_refuse_drop ON sql_drop
    EXECUTE FUNCTION countersign_guard.refuse_ddl();
ALTER EVENT TRIGGER audit_refuse_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER audit_refuse_drop ENABLE ALWAYS;
"""
"""Run as a superuser in Countersign's database after every migration; repeatable."""


def missing_guards(using: str) -> list[str]:
    """Return what does not protect the log on this server, one sentence each."""
    found = []
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgname = c.relname || '_refuse' AND t.tgenabled = 'A'"
        )
        guarded = {row[0] for row in cursor.fetchall()}
        found += [f"table {name} may be changed" for name in APPEND_ONLY if name not in guarded]
        cursor.execute(
            "SELECT count(*) FROM pg_event_trigger"
            " WHERE evtname IN ('audit_refuse_ddl', 'audit_refuse_drop') AND evtenabled = 'A'"
        )
        if cursor.fetchone() != (2,):
            found.append("no event trigger refuses DDL on the log")
    return found


@register(Tags.database)
def check_guards(*, databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """Warn of guards that this server lacks (`manage.py check --database default`)."""
    return [
        Warning(
            f"The log is less protected than it could be: {sentence}.",
            hint="As a superuser run the SQL that `manage.py audit_guard` prints.",
            id="audit.W001",
        )
        for using in databases or []
        for sentence in missing_guards(using)
    ]
