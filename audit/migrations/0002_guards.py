"""What the database itself refuses, whoever asks.

The fill trigger takes the entry's number only after its transaction has an xid: whoever
holds a number at or below m was then visible as running before m was, which is what makes
the sequencer's floor safe. Every trigger is ENABLE ALWAYS, since plain triggers do not fire
under `session_replication_role = replica`.
"""

from django.db import migrations

FILL = r"""
CREATE SEQUENCE audit_entry_number_seq OWNED BY audit_entry.number;

DO $install$
BEGIN
EXECUTE format($create$
CREATE FUNCTION audit_entry_fill() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    j jsonb;
    actor jsonb;
    subject jsonb;
BEGIN
    IF octet_length(NEW.leaf) NOT BETWEEN 2 AND 65535 THEN
        RAISE EXCEPTION 'audit: a leaf has at most 65535 bytes'
            USING ERRCODE = 'check_violation';
    END IF;
    -- jsonb is parsed once; json would be parsed again for every field.
    j := convert_from(NEW.leaf, 'UTF8')::jsonb;
    actor := j->'actor';
    subject := j->'subject';
    NEW.id := (j->>'id')::uuid;
    NEW.workspace_id := (j->>'workspace')::uuid;
    NEW.leaf_hash := sha256('\x00'::bytea || NEW.leaf);
    NEW.time := (j->>'time')::timestamptz;
    NEW.action := j->>'action';
    NEW.actor_type := actor->>'type';
    NEW.actor_id := actor->>'id';
    NEW.actor_name := actor->>'name';
    NEW.subject_type := subject->>'type';
    NEW.subject_id := subject->>'id';
    NEW.subject_version := coalesce(subject->>'version', '');
    NEW.run_id := (j->>'run')::uuid;
    NEW.run_seq := (j->>'run_seq')::integer;
    IF abs(extract(epoch FROM clock_timestamp() - NEW.time)) > 300 THEN
        RAISE EXCEPTION 'audit: the time %% is not the time of the server', NEW.time
            USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_current_xact_id();
    NEW.number := nextval('%1$I.audit_entry_number_seq');
    RETURN NEW;
END
$body$
$create$, current_schema());
END
$install$;

CREATE TRIGGER audit_entry_fill BEFORE INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_fill();
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_fill;
"""

UNFILL = """
DROP TRIGGER audit_entry_fill ON audit_entry;
DROP FUNCTION audit_entry_fill();
DROP SEQUENCE audit_entry_number_seq;
"""

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'audit: % on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE TRIGGER audit_entry_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_refuse;
CREATE TRIGGER audit_payload_refuse BEFORE UPDATE OR TRUNCATE ON audit_payload
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER audit_payload_refuse;
"""

UNREFUSE = """
DROP TRIGGER audit_payload_refuse ON audit_payload;
DROP TRIGGER audit_entry_refuse ON audit_entry;
DROP FUNCTION audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FILL, UNFILL), migrations.RunSQL(REFUSE, UNREFUSE)]
