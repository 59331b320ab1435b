"""When a simulation was last heard of, and how often it was taken up."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("policies", "0007_proposals")]

    operations = [
        migrations.AddField(
            "policysimulation", "attempt", models.PositiveSmallIntegerField(default=0)
        ),
        migrations.AddField("policysimulation", "touched", models.DateTimeField(null=True)),
    ]
