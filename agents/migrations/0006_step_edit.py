from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_http_tools")]

    operations = [
        migrations.AddField(
            model_name="step",
            name="edit",
            field=models.JSONField(
                help_text="What a reviewer put in place of this step's program; see agents.editing.",
                null=True,
            ),
        ),
    ]
