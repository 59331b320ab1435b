"""What was shown is kept as it was written; requests are compared, and handed to groups."""

from django.db import migrations, models

import audit.ordered

# As in 0002, but for two things: the text of what was shown never changes, not even the order of
# its members, which `jsonb` does not see; and the group that was asked may.
GUARD = """
CREATE OR REPLACE FUNCTION policies_guard_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    progress text[] := '{state,closed,assignee_id,assignee_role,notified,reminded}';
BEGIN
    IF to_jsonb(NEW) - progress IS DISTINCT FROM to_jsonb(OLD) - progress
        OR NEW.displayed::text IS DISTINCT FROM OLD.displayed::text
    THEN
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
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_appointments"),
        ("policies", "0004_activation_signed"),
    ]

    operations = [
        migrations.AlterField("approvalrequest", "displayed", audit.ordered.OrderedJSONField()),
        migrations.AddField(
            "approvalrequest", "likeness", models.CharField(blank=True, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            "approvalrequest", "assignee_role",
            models.CharField(blank=True, max_length=80, default=""),
            preserve_default=False,
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(("state", "approved"), models.Q(("likeness", ""), _negated=True)),
                fields=["workspace", "likeness", "-created"],
                name="policies_request_alike",
            ),
        ),
        migrations.AddConstraint(
            "approvalrequest",
            models.CheckConstraint(
                condition=models.Q(("assignee__isnull", True), ("assignee_role", ""), _connector="OR"),
                name="policies_request_asked_one",
            ),
        ),
        migrations.RunSQL(GUARD, migrations.RunSQL.noop),
    ]
