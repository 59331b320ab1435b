"""No version takes effect without its own signed and used request: the database says so."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION policies_guard_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sequence = 1 AND NOT EXISTS (
        SELECT 1 FROM policies_policyactivation a WHERE a.policy_set_id = NEW.policy_set_id
    ) THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT 1
        FROM policies_approvalrequest r
        JOIN policies_approval a ON a.request_id = r.id
        JOIN policies_policyversion v ON v.id = NEW.version_id
        WHERE r.id = NEW.request_id
            AND r.kind = 'change'
            AND r.state = 'approved'
            AND a.consumed_at IS NOT NULL
            AND r.workspace_id = NEW.workspace_id
            AND v.workspace_id = NEW.workspace_id
            AND v.policy_set_id = NEW.policy_set_id
            AND r.binding ->> 'change' = 'policy.activate'
            AND r.binding ->> 'version_id' = v.id::text
            AND r.binding ->> 'digest' = v.digest
    ) THEN
        RAISE EXCEPTION 'policies_policyactivation: nobody signed that this version takes effect'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policies_guard_activation_insert BEFORE INSERT ON policies_policyactivation
    FOR EACH ROW EXECUTE FUNCTION policies_guard_activation();
ALTER TABLE policies_policyactivation
    ENABLE ALWAYS TRIGGER policies_guard_activation_insert;
"""
BACK = """
DROP TRIGGER policies_guard_activation_insert ON policies_policyactivation;
DROP FUNCTION policies_guard_activation();
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0003_drafts_and_simulations")]

    operations = [migrations.RunSQL(FORWARD, BACK)]
