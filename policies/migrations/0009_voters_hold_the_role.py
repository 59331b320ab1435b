"""A vote is of somebody who holds a role that the request asks for: the database says so.

And a request is complete only with as many signers for each role as it asks for, who hold it now.
That one person fills one seat only is counted too: there are at least as many signers as seats.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION policies_holds(p_workspace uuid, p_user uuid, p_role text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM accounts_membership m, unnest(m.roles) held
        WHERE m.workspace_id = p_workspace AND m.user_id = p_user
            AND (held = p_role OR p_role = 'reviewer' AND held LIKE 'reviewer:%')
    )
$$;

CREATE FUNCTION policies_guard_voter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM policies_approvalrequest r, jsonb_array_elements(r.requirement) seat
        WHERE r.id = NEW.request_id
            AND policies_holds(r.workspace_id, NEW.user_id, seat ->> 'role')
    ) THEN
        RAISE EXCEPTION 'policies_vote: this person holds no role that the request asks for'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policies_guard_voter_insert BEFORE INSERT ON policies_vote
    FOR EACH ROW EXECUTE FUNCTION policies_guard_voter();
ALTER TABLE policies_vote ENABLE ALWAYS TRIGGER policies_guard_voter_insert;

CREATE FUNCTION policies_guard_seats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM policies_approvalrequest r, jsonb_array_elements(r.requirement) seat
        WHERE r.id = NEW.request_id AND (seat ->> 'count')::integer > (
            SELECT count(*) FROM policies_vote v
            WHERE v.request_id = r.id AND v.answer = 'sign'
                AND policies_holds(r.workspace_id, v.user_id, seat ->> 'role')
        )
    ) THEN
        RAISE EXCEPTION 'policies_approval: too few signers hold a role that is asked for'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policies_guard_seats_insert BEFORE INSERT ON policies_approval
    FOR EACH ROW EXECUTE FUNCTION policies_guard_seats();
ALTER TABLE policies_approval ENABLE ALWAYS TRIGGER policies_guard_seats_insert;
"""
BACK = """
DROP TRIGGER policies_guard_seats_insert ON policies_approval;
DROP TRIGGER policies_guard_voter_insert ON policies_vote;
DROP FUNCTION policies_guard_seats();
DROP FUNCTION policies_guard_voter();
DROP FUNCTION policies_holds(uuid, uuid, text);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0008_simulations_swept"),
        ("accounts", "0002_appointments"),
    ]

    operations = [migrations.RunSQL(FORWARD, BACK)]
