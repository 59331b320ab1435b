"""Evidence cannot be changed, and nobody countersigns their own request: the database says so."""

from django.db import migrations

INSERT_ONLY = (
    "policies_policyset",
    "policies_policyversion",
    "policies_policyactivation",
    "policies_decisionrecord",
    "policies_vote",
    "policies_approvalevent",
)
PROGRESS_ONLY = ("policies_approvalrequest", "policies_approval")

FUNCTIONS = """
CREATE FUNCTION policies_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: rows are evidence and are never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- A request's terms stand; its state moves forward only, and to "approved" only with an approval.
CREATE FUNCTION policies_guard_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    progress text[] := '{state,closed,assignee_id,notified,reminded}';
BEGIN
    IF to_jsonb(NEW) - progress IS DISTINCT FROM to_jsonb(OLD) - progress THEN
        RAISE EXCEPTION 'policies_approvalrequest: what is to be signed never changes'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state AND NOT (
        OLD.state IN ('waiting', 'info_requested')
        OR (OLD.state = 'approved' AND NEW.state IN ('expired', 'superseded', 'cancelled'))
    ) THEN
        RAISE EXCEPTION 'policies_approvalrequest: % never becomes %', OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'approved' AND NOT EXISTS (
        SELECT 1 FROM policies_approval a WHERE a.request_id = NEW.id
    ) THEN
        RAISE EXCEPTION 'policies_approvalrequest: approved without an approval'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- An approval is used once, and only while its request still stands.
CREATE FUNCTION policies_guard_approval() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    progress text[] := '{consumed_at,consumed_by}';
BEGIN
    IF to_jsonb(NEW) - progress IS DISTINCT FROM to_jsonb(OLD) - progress
        OR OLD.consumed_at IS NOT NULL OR NEW.consumed_at IS NULL
    THEN
        RAISE EXCEPTION 'policies_approval: an approval is used once and never changed'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM policies_approvalrequest r
        WHERE r.id = NEW.request_id AND r.state = 'approved' AND NEW.consumed_at <= r.execute_by
    ) THEN
        RAISE EXCEPTION 'policies_approval: its request does not stand any more'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- The separation of duties that must hold even if a service is wrong.
CREATE FUNCTION policies_guard_vote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r policies_approvalrequest%ROWTYPE;
BEGIN
    SELECT * INTO r FROM policies_approvalrequest WHERE id = NEW.request_id;
    IF r.workspace_id IS DISTINCT FROM NEW.workspace_id
        OR r.state NOT IN ('waiting', 'info_requested')
        OR NEW.created > r.sign_by
        OR NEW.binding_digest <> r.binding_digest
        OR NEW.displayed_digest <> r.displayed_digest
    THEN
        RAISE EXCEPTION 'policies_vote: the request does not take this vote'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF r.requester_id = NEW.user_id::text
        OR NEW.user_id::text = ANY (r.barred)
        OR EXISTS (
            SELECT 1 FROM policies_approvalevent e
            WHERE e.request_id = r.id AND e.user_id = NEW.user_id AND e.kind = 'edited'
        )
        OR NOT EXISTS (
            SELECT 1 FROM accounts_membership m
            WHERE m.workspace_id = r.workspace_id AND m.user_id = NEW.user_id
        )
    THEN
        RAISE EXCEPTION 'policies_vote: this person may not vote on this request'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- No approval before as many people signed as the request asks for, and none after a rejection.
CREATE FUNCTION policies_guard_completion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r policies_approvalrequest%ROWTYPE;
    needed integer;
    signed integer;
    rejected integer;
BEGIN
    SELECT * INTO r FROM policies_approvalrequest WHERE id = NEW.request_id;
    SELECT sum((seat ->> 'count')::integer) INTO needed
        FROM jsonb_array_elements(r.requirement) seat;
    SELECT count(*) FILTER (WHERE answer = 'sign'), count(*) FILTER (WHERE answer <> 'sign')
        INTO signed, rejected FROM policies_vote WHERE request_id = r.id;
    IF needed IS NULL OR needed < 1 OR signed < needed OR rejected > 0
        OR r.workspace_id IS DISTINCT FROM NEW.workspace_id
        OR r.state NOT IN ('waiting', 'info_requested')
        OR NEW.consumed_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'policies_approval: the request is not signed by enough people'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""

DROP = """
DROP FUNCTION policies_guard_completion();
DROP FUNCTION policies_guard_vote();
DROP FUNCTION policies_guard_approval();
DROP FUNCTION policies_guard_request();
DROP FUNCTION policies_refuse_change();
"""


def _trigger(table: str, when: str, function: str, scope: str = "ROW") -> str:
    name = f"{function}_{when.split()[0].lower()}"
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} "
        f"FOR EACH {scope} EXECUTE FUNCTION {function}();\n"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};\n"
    )


def _triggers() -> str:
    parts = [_trigger(table, "UPDATE OR DELETE", "policies_refuse_change") for table in INSERT_ONLY]
    parts += [_trigger(table, "DELETE", "policies_refuse_change") for table in PROGRESS_ONLY]
    parts += [
        _trigger(table, "TRUNCATE", "policies_refuse_change", "STATEMENT")
        for table in INSERT_ONLY + PROGRESS_ONLY
    ]
    parts += [
        _trigger("policies_approvalrequest", "UPDATE", "policies_guard_request"),
        _trigger("policies_approval", "UPDATE", "policies_guard_approval"),
        _trigger("policies_approval", "INSERT", "policies_guard_completion"),
        _trigger("policies_vote", "INSERT", "policies_guard_vote"),
    ]
    return "".join(parts)


def _drop_triggers() -> str:
    tables = {table: ["policies_refuse_change_truncate"] for table in INSERT_ONLY + PROGRESS_ONLY}
    for table in INSERT_ONLY:
        tables[table].append("policies_refuse_change_update")
    for table in PROGRESS_ONLY:
        tables[table].append("policies_refuse_change_delete")
    tables["policies_approvalrequest"].append("policies_guard_request_update")
    tables["policies_approval"].append("policies_guard_approval_update")
    tables["policies_approval"].append("policies_guard_completion_insert")
    tables["policies_vote"].append("policies_guard_vote_insert")
    return "".join(
        f"DROP TRIGGER {name} ON {table};\n" for table, names in tables.items() for name in names
    )


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0001_policies_and_approvals"),
        ("accounts", "0001_people"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS + _triggers(), _drop_triggers() + DROP),
    ]
