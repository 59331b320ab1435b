"""What a leaf must fulfil is asked in one expression of the fill trigger.

PostgreSQL reads a table's CHECK constraint from its stored text again for every statement, which
was a twelfth of an append; the trigger fires whatever the session says, so nothing gets past it.
"""

from django.db import migrations

FILL = r"""
DO $install$
BEGIN
EXECUTE format($create$
CREATE OR REPLACE FUNCTION audit_entry_fill() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    -- jsonb is parsed once; json would be parsed again for every field.
    j jsonb := convert_from(NEW.leaf, 'UTF8')::jsonb;
BEGIN
    IF octet_length(NEW.leaf) NOT BETWEEN 2 AND 65535
        OR (j->>'time')::timestamptz NOT BETWEEN clock_timestamp() - interval '300 s'
            AND clock_timestamp() + interval '300 s'
        OR (j->>'run' IS NULL) <> (j->>'run_seq' IS NULL)
        OR (j->>'run_seq')::integer < 1
    THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = CASE
            WHEN octet_length(NEW.leaf) NOT BETWEEN 2 AND 65535
            THEN 'audit: a leaf has at most 65535 bytes'
            WHEN (j->>'run' IS NULL) <> (j->>'run_seq' IS NULL) OR (j->>'run_seq')::integer < 1
            THEN 'audit: an entry of a run has its number there, from 1; others have none'
            ELSE format('audit: the time %%s is not the time of the server', j->>'time')
            END;
    END IF;
    RETURN ROW(
        (j->>'id')::uuid,
        -- The number is drawn after the transaction has its id: the sequencer's floor rests on it.
        CASE WHEN pg_current_xact_id() IS NOT NULL
            THEN nextval('%1$I.audit_entry_number_seq') END,
        (j->>'workspace')::uuid,
        NEW.leaf,
        sha256('\x00'::bytea || NEW.leaf),
        (j->>'time')::timestamptz,
        j->>'action',
        j->'actor'->>'type',
        j->'actor'->>'id',
        j->'actor'->>'name',
        j->'subject'->>'type',
        j->'subject'->>'id',
        coalesce(j->'subject'->>'version', ''),
        (j->>'run')::uuid,
        (j->>'run_seq')::integer
    )::%1$I.audit_entry;
END
$body$
$create$, current_schema());
END
$install$;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_removed_exports")]
    operations = [
        # The earlier trigger function did the same: there is nothing to go back to.
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveConstraint("entry", "audit_entry_run_complete"),
    ]
