"""Positions, tiles, batches, checkpoints and receipts are evidence: append-only as well."""

from django.db import migrations

TABLES = ("audit_position", "audit_tile", "audit_batch", "audit_checkpoint", "audit_receipt")


def refuse(table: str) -> str:
    return f"""
CREATE TRIGGER {table}_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_trees")]
    operations = [
        migrations.RunSQL(refuse(table), f"DROP TRIGGER {table}_refuse ON {table};")
        for table in TABLES
    ]
