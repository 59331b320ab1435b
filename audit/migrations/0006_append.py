"""One statement appends a transaction's entries and payloads; the fill trigger costs less.

`audit_append` runs with the rights of whoever calls it: row-level security, triggers and
privileges hold as for any INSERT, and what it does anyone with these rights could do with
several statements. It makes each leaf of its two halves and the link between them, which
nobody but the database knows: number and hash of the run's last entry. The caller holds the
run row's lock; where he does not, the unique constraint on (run, number) refuses the second.

It returns the entries' numbers, or NULL, having written nothing, where a key that a payload
was sealed under is no longer there: a process may remember keys, never use a destroyed one.

The trigger fills all columns in one expression: PL/pgSQL prepares each expression anew in
every transaction, which was a third of its cost.
"""

from django.db import migrations

FILL = r"""
DO $install$
BEGIN
EXECUTE format($create$
CREATE OR REPLACE FUNCTION audit_entry_fill() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    j jsonb;
    xid xid8;
    entry %1$I.audit_entry%%ROWTYPE;
BEGIN
    IF octet_length(NEW.leaf) NOT BETWEEN 2 AND 65535 THEN
        RAISE EXCEPTION 'audit: a leaf has at most 65535 bytes'
            USING ERRCODE = 'check_violation';
    END IF;
    -- jsonb is parsed once; json would be parsed again for every field.
    j := convert_from(NEW.leaf, 'UTF8')::jsonb;
    -- Before the number is drawn: the sequencer's floor rests on this order.
    xid := pg_current_xact_id();
    entry := ROW(
        (j->>'id')::uuid,
        nextval('%1$I.audit_entry_number_seq'),
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
    );
    IF entry.time NOT BETWEEN clock_timestamp() - interval '300 s'
        AND clock_timestamp() + interval '300 s'
    THEN
        RAISE EXCEPTION 'audit: the time %% is not the time of the server', entry.time
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN entry;
END
$body$
$create$, current_schema());
END
$install$;
"""

APPEND = r"""
DO $install$
BEGIN
EXECUTE format($create$
CREATE FUNCTION audit_append(
    befores bytea[], afters bytea[], runs uuid[], workspace uuid, recorded_at timestamptz,
    payloads uuid[], owners uuid[], names text[], keys uuid[], sealed bytea[]
) RETURNS bigint[]
LANGUAGE plpgsql SECURITY INVOKER
-- The newest entry of a run lies at the end of one index. Without statistics the planner
-- would rather intersect two, reading all of a workspace (seen: 1,800 index entries for one).
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $body$
#variable_conflict use_column
DECLARE
    numbers bigint[];
    number bigint;
    head uuid;
    seq integer;
    prev bytea;
    hash bytea;
    link text;
BEGIN
    IF cardinality(keys) > 0 AND EXISTS (
        SELECT FROM unnest(keys) AS wanted(id)
        WHERE NOT EXISTS (SELECT FROM %1$I.audit_subjectkey AS k WHERE k.id = wanted.id)
    ) THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. cardinality(befores) LOOP
        link := '';
        IF runs[i] IS NOT NULL THEN
            IF head IS DISTINCT FROM runs[i] THEN
                head := runs[i];
                SELECT e.run_seq, e.leaf_hash INTO seq, prev FROM %1$I.audit_entry AS e
                    WHERE e.run_id = head ORDER BY e.run_seq DESC LIMIT 1;
            END IF;
            seq := coalesce(seq, 0) + 1;
            link := coalesce('"prev":"' || encode(prev, 'hex') || '",', '')
                || '"run":"' || head || '","run_seq":' || seq || ',';
        END IF;
        INSERT INTO %1$I.audit_entry (leaf)
            VALUES (befores[i] || convert_to(link, 'UTF8') || afters[i])
            RETURNING audit_entry.number, audit_entry.leaf_hash INTO number, hash;
        numbers[i] := number;
        IF runs[i] IS NOT NULL THEN
            prev := hash;
        END IF;
    END LOOP;
    IF cardinality(keys) > 0 THEN
        INSERT INTO %1$I.audit_payload
            (id, workspace_id, entry_id, name, key_id, sealed, created_at)
            SELECT p.id, workspace, p.owner, p.name, p.key, p.sealed, recorded_at
            FROM unnest(payloads, owners, names, keys, sealed)
                AS p(id, owner, name, key, sealed);
    END IF;
    RETURN numbers;
END
$body$
$create$, current_schema());
END
$install$;
"""

UNAPPEND = (
    "DROP FUNCTION audit_append"
    "(bytea[], bytea[], uuid[], uuid, timestamptz, uuid[], uuid[], text[], uuid[], bytea[])"
)


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_jobs")]
    operations = [
        # The earlier trigger function did the same: there is nothing to go back to.
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND, UNAPPEND),
    ]
