"""Where the calls of a tool over HTTP go; part of the version's content, which triggers compare."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_registrations")]

    operations = [
        migrations.AddField(
            "toolversion",
            "operation",
            models.JSONField(
                default=dict,
                help_text="Of a tool over HTTP: where its calls go; see agents.tools.http.",
            ),
        ),
    ]
