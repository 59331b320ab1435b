"""Replays that people ask for."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_people"), ("agents", "0009_tool_files")]

    operations = [
        migrations.CreateModel(
            name="Replay",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waits for a worker"),
                            ("running", "under way"),
                            ("done", "Done"),
                            ("failed", "could not be made"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                ("requester_id", models.CharField(max_length=64)),
                ("requester_name", models.CharField(max_length=200)),
                ("steps", models.JSONField(default=list)),
                (
                    "error",
                    models.TextField(blank=True, help_text="Why it could not be made, for people."),
                ),
                ("requested", models.DateTimeField(auto_now_add=True)),
                (
                    "touched",
                    models.DateTimeField(auto_now_add=True, help_text="The last sign of life."),
                ),
                ("ended", models.DateTimeField(null=True)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replays",
                        to="agents.run",
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
            options={
                "ordering": ["-requested"],
                "indexes": [models.Index(fields=["run", "-requested"], name="replays_of_run")],
            },
        ),
    ]
