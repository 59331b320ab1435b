"""Files of runs. The database holds content to the hash under which it is kept."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

HASHED = """
ALTER TABLE agents_artifactcontent ADD CONSTRAINT artifact_content_hashed
    CHECK (encode(sha256(content), 'hex') = sha256)
"""
UNHASHED = "ALTER TABLE agents_artifactcontent DROP CONSTRAINT artifact_content_hashed"


def _workspace() -> "models.ForeignKey[object, object]":
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.workspace"
    )


def _key() -> "models.UUIDField[object, object]":
    return models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_people"), ("agents", "0007_ordered_values")]

    operations = [
        migrations.AddField(
            "run",
            "files",
            models.JSONField(
                default=list,
                help_text="Files that came with the task: name, hash, type, labels.",
            ),
        ),
        migrations.AddField(
            "step",
            "files",
            models.JSONField(
                default=list,
                help_text="Files that the program left, new or changed: name, hash, size.",
            ),
        ),
        migrations.CreateModel(
            name="ArtifactContent",
            fields=[
                ("id", _key()),
                ("sha256", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("workspace", _workspace()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "sha256"), name="artifact_content_once"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="Artifact",
            fields=[
                ("id", _key()),
                ("name", models.CharField(max_length=100)),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.PositiveBigIntegerField()),
                ("media_type", models.CharField(max_length=100)),
                ("labels", models.JSONField(default=list)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="artifacts",
                        to="agents.run",
                    ),
                ),
                (
                    "step",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="artifacts",
                        to="agents.step",
                    ),
                ),
                ("workspace", _workspace()),
            ],
            options={
                "ordering": ["created", "name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "step", "name"),
                        name="artifact_name_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(HASHED, UNHASHED),
    ]
