"""Programs propose changes: whose policy version it is, and what was sent under which key."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_appointments"),
        ("policies", "0006_factors"),
    ]

    operations = [
        migrations.AddField(
            "policyversion", "author_account",
            models.CharField(blank=True, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name="ProposalKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("requester_id", models.CharField(max_length=64)),
                ("key", models.CharField(max_length=200)),
                ("content_digest", models.CharField(max_length=64)),
                ("created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ("request", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="policies.approvalrequest")),
                ("version", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="policies.policyversion")),
                ("workspace", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.workspace")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "requester_id", "key"), name="policies_proposalkey_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("request__isnull", False), ("version__isnull", True)),
                            models.Q(("request__isnull", True), ("version__isnull", False)),
                            _connector="OR",
                        ),
                        name="policies_proposalkey_one",
                    ),
                ],
            },
        ),
    ]
