"""What a signature takes beside the password; the database holds a signature to it."""

import django.contrib.postgres.fields
import policies.models
from django.db import migrations, models

GUARD = """
-- A signature with less than the request asks for is none, whatever a service says: the code must
-- have been used, by this person, for this very request.
CREATE FUNCTION policies_guard_factor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked text;
BEGIN
    SELECT factor INTO asked FROM policies_approvalrequest WHERE id = NEW.request_id;
    IF NEW.answer = 'sign' AND asked <> '' AND NOT asked = ANY (NEW.factors)
        OR 'totp' = ANY (NEW.factors) AND NOT EXISTS (
            SELECT 1 FROM accounts_codeuse u
            WHERE u.user_id = NEW.user_id AND u.purpose = NEW.request_id::text
        )
    THEN
        RAISE EXCEPTION 'policies_vote: without the code that this request asks for'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER policies_guard_factor_insert BEFORE INSERT ON policies_vote
    FOR EACH ROW EXECUTE FUNCTION policies_guard_factor();
ALTER TABLE policies_vote ENABLE ALWAYS TRIGGER policies_guard_factor_insert;
"""

DROP = """
DROP TRIGGER policies_guard_factor_insert ON policies_vote;
DROP FUNCTION policies_guard_factor();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_factors'),
        ('policies', '0005_displayed_in_order'),
    ]

    operations = [
        migrations.AddField(
            model_name='approvalrequest',
            name='factor',
            field=models.CharField(blank=True, db_default='', default='', max_length=8),
        ),
        migrations.AddField(
            model_name='vote',
            name='factors',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=8), db_default=['password'], default=policies.models._password_only, size=None),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('factor__in', ['', 'totp'])), name='policies_request_factor'),
        ),
        migrations.RunSQL(GUARD, DROP),
    ]
