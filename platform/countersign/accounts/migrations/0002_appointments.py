"""Nobody holds a role that was not given them by two people: the database says so.

An appointment without an approval is the set-up of a workspace that has no members yet, or only
takes roles away. Any other names a change that was signed and used up, and gives exactly what was
signed. A membership holds no role beyond its person's newest appointment.
"""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

BEFORE = """
-- Who was a member before appointments were kept.
INSERT INTO accounts_appointment (id, workspace_id, number, people, appointed_by, created)
SELECT gen_random_uuid(), workspace_id, 1,
    jsonb_agg(jsonb_build_object('user', user_id::text, 'roles', to_jsonb(roles))),
    'before appointments', now()
FROM accounts_membership GROUP BY workspace_id;
"""

FUNCTIONS = """
CREATE FUNCTION accounts_appointed(p_workspace uuid, p_user text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT p -> 'roles' FROM accounts_appointment a, jsonb_array_elements(a.people) p
        WHERE a.workspace_id = p_workspace AND p ->> 'user' = p_user
        ORDER BY a.number DESC LIMIT 1
    ), '[]'::jsonb)
$$;

CREATE FUNCTION accounts_guard_appointment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <= (SELECT coalesce(max(number), 0) FROM accounts_appointment
        WHERE workspace_id = NEW.workspace_id)
    THEN
        RAISE EXCEPTION 'accounts_appointment: not the next one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.request_id IS NOT NULL THEN
        IF NOT EXISTS (
            SELECT 1 FROM policies_approvalrequest r
            JOIN policies_approval a ON a.request_id = r.id
            WHERE r.id = NEW.request_id AND r.workspace_id = NEW.workspace_id
                AND r.kind = 'change' AND r.state = 'approved' AND a.consumed_at IS NOT NULL
                AND r.binding ->> 'change' = 'member' AND r.binding -> 'people' = NEW.people
        ) THEN
            RAISE EXCEPTION 'accounts_appointment: this is not what was signed'
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF EXISTS (SELECT 1 FROM accounts_appointment WHERE workspace_id = NEW.workspace_id)
        AND EXISTS (
            SELECT 1 FROM jsonb_array_elements(NEW.people) p
            WHERE NOT (p -> 'roles' <@ accounts_appointed(NEW.workspace_id, p ->> 'user'))
        )
    THEN
        RAISE EXCEPTION 'accounts_appointment: a role is given by two people'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION accounts_guard_membership() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.user_id, NEW.workspace_id) <> (OLD.user_id, OLD.workspace_id) THEN
        RAISE EXCEPTION 'accounts_membership: it never becomes that of another'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT (to_jsonb(NEW.roles) <@ accounts_appointed(NEW.workspace_id, NEW.user_id::text)) THEN
        RAISE EXCEPTION 'accounts_membership: a role that no appointment gives'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER accounts_appointment_guard BEFORE INSERT ON accounts_appointment
    FOR EACH ROW EXECUTE FUNCTION accounts_guard_appointment();
ALTER TABLE accounts_appointment ENABLE ALWAYS TRIGGER accounts_appointment_guard;
CREATE TRIGGER accounts_membership_guard BEFORE INSERT OR UPDATE ON accounts_membership
    FOR EACH ROW EXECUTE FUNCTION accounts_guard_membership();
ALTER TABLE accounts_membership ENABLE ALWAYS TRIGGER accounts_membership_guard;
"""

DROP = """
DROP TRIGGER accounts_membership_guard ON accounts_membership;
DROP TRIGGER accounts_appointment_guard ON accounts_appointment;
DROP FUNCTION accounts_guard_membership();
DROP FUNCTION accounts_guard_appointment();
DROP FUNCTION accounts_appointed(uuid, text);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_people"),
        ("policies", "0002_immutable"),
    ]

    operations = [
        migrations.CreateModel(
            name="Appointment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("people", models.JSONField()),
                ("appointed_by", models.CharField(max_length=120)),
                (
                    "created",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="appointment",
                        to="policies.approvalrequest",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.workspace",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="appointment",
            constraint=models.UniqueConstraint(
                fields=("workspace", "number"), name="accounts_appointment_once"
            ),
        ),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.RunSQL(FUNCTIONS, DROP),
    ]
