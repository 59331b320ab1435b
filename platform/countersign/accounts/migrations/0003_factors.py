"""Authenticators of people, the codes they have used, and their recovery codes."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_appointments'),
    ]

    operations = [
        migrations.CreateModel(
            name='Factor',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('sealed', models.BinaryField()),
                ('wrapping_key', models.CharField(max_length=200)),
                ('created', models.DateTimeField(editable=False)),
                ('confirmed', models.DateTimeField(null=True)),
                ('removed', models.DateTimeField(null=True)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('wait_until', models.DateTimeField(null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='factors', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='CodeUse',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('step', models.BigIntegerField()),
                ('purpose', models.CharField(max_length=80)),
                ('created', models.DateTimeField(editable=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('factor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='accounts.factor')),
            ],
        ),
        migrations.CreateModel(
            name='RecoveryCode',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('used', models.DateTimeField(null=True)),
                ('factor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recovery_codes', to='accounts.factor')),
            ],
        ),
        migrations.AddConstraint(
            model_name='factor',
            constraint=models.UniqueConstraint(condition=models.Q(('confirmed__isnull', False), ('removed__isnull', True)), fields=('user',), name='accounts_factor_one_in_force'),
        ),
        migrations.AddConstraint(
            model_name='factor',
            constraint=models.CheckConstraint(condition=models.Q(('removed__isnull', True), ('sealed', b''), _connector='OR'), name='accounts_factor_removed_keeps_no_secret'),
        ),
        migrations.AddIndex(
            model_name='codeuse',
            index=models.Index(fields=['user', 'purpose'], name='accounts_codeuse_purpose'),
        ),
        migrations.AddConstraint(
            model_name='codeuse',
            constraint=models.UniqueConstraint(fields=('factor', 'step'), name='accounts_codeuse_once'),
        ),
    ]
