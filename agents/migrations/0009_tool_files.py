"""Files that tools give, noted with the call."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0008_artifacts")]

    operations = [
        migrations.AddField(
            "call",
            "files",
            models.JSONField(
                default=list, help_text="Files that the tool gave: name, hash, size."
            ),
        ),
    ]
