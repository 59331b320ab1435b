"""Versions come in by registrations, and registrations by approvals: the database says so.

A registration without an approval is the first of its workspace and finds nothing registered. Any
other names a change that was signed and used up, and lists exactly the versions that were signed.
A version must stand in its registration's list, with number, digest, and every column of its
content; an agent may call no tool version, and use no model, that the list does not give it.
"""

import uuid
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

FUNCTIONS = """
CREATE FUNCTION agents_guard_registration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.request_id IS NULL THEN
        IF EXISTS (SELECT 1 FROM agents_toolversion WHERE workspace_id = NEW.workspace_id)
            OR EXISTS (SELECT 1 FROM agents_modelendpoint WHERE workspace_id = NEW.workspace_id)
            OR EXISTS (SELECT 1 FROM agents_agentversion WHERE workspace_id = NEW.workspace_id)
        THEN
            RAISE EXCEPTION 'agents_registration: this workspace is set up; a change is signed'
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT 1 FROM policies_approvalrequest r JOIN policies_approval a ON a.request_id = r.id
        WHERE r.id = NEW.request_id AND r.workspace_id = NEW.workspace_id
            AND r.kind = 'change' AND r.state = 'approved' AND a.consumed_at IS NOT NULL
            AND r.binding ->> 'change' = 'registry'
            AND r.binding -> 'versions' = NEW.versions
    ) THEN
        RAISE EXCEPTION 'agents_registration: this is not what was signed'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- What a registration lists of one version; no row where it does not.
CREATE FUNCTION agents_listed(p_registration uuid, p_workspace uuid, p_kind text, p_name text,
    p_number integer, p_digest text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT v FROM agents_registration r, jsonb_array_elements(r.versions) v
    WHERE r.id = p_registration AND r.workspace_id = p_workspace
        AND v ->> 'kind' = p_kind AND v ->> 'name' = p_name
        AND (v ->> 'number')::integer = p_number AND v ->> 'digest' = p_digest
$$;

CREATE FUNCTION agents_guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_json jsonb := to_jsonb(NEW);
    apart text[] := '{id,workspace_id,tool_id,agent_id,endpoint_id,name,number,digest,author_id,
        registered_by,registration_id,created}';
    what text := TG_ARGV[0];
    called text;
    listed jsonb;
BEGIN
    IF what = 'tool' THEN
        SELECT t.name INTO called FROM agents_tool t
            WHERE t.id = (row_json ->> 'tool_id')::uuid AND t.workspace_id = NEW.workspace_id;
    ELSIF what = 'agent' THEN
        SELECT g.name INTO called FROM agents_agent g
            WHERE g.id = (row_json ->> 'agent_id')::uuid AND g.workspace_id = NEW.workspace_id;
    ELSE
        called := row_json ->> 'name';
    END IF;
    listed := agents_listed(
        NEW.registration_id, NEW.workspace_id, what, called, NEW.number, NEW.digest);
    IF listed IS NULL OR listed -> 'content' IS DISTINCT FROM row_json - apart THEN
        RAISE EXCEPTION '%: a version comes in by a registration that lists it', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF what = 'agent' AND NOT EXISTS (
        SELECT 1 FROM agents_modelendpoint e
        WHERE e.id = (row_json ->> 'endpoint_id')::uuid AND e.workspace_id = NEW.workspace_id
            AND e.digest = listed -> 'uses' ->> 'model'
    ) THEN
        RAISE EXCEPTION 'agents_agentversion: its model is not the one that was registered'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION agents_guard_agenttool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM agents_agentversion v
        JOIN agents_agent g ON g.id = v.agent_id
        JOIN agents_toolversion tv ON tv.id = NEW.tool_version_id
        JOIN agents_tool t ON t.id = tv.tool_id
        WHERE v.id = NEW.agent_version_id AND v.workspace_id = NEW.workspace_id
            AND tv.workspace_id = NEW.workspace_id
            AND agents_listed(v.registration_id, v.workspace_id, 'agent', g.name, v.number,
                v.digest) -> 'uses' -> 'tools' ->> t.name = tv.digest
    ) THEN
        RAISE EXCEPTION 'agents_agenttool: this agent was not registered with this tool'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""

TRIGGERS = {
    "agents_registration": "agents_guard_registration()",
    "agents_toolversion": "agents_guard_version('tool')",
    "agents_modelendpoint": "agents_guard_version('model')",
    "agents_agentversion": "agents_guard_version('agent')",
    "agents_agenttool": "agents_guard_agenttool()",
}

DROP = """
DROP FUNCTION agents_guard_agenttool();
DROP FUNCTION agents_guard_version();
DROP FUNCTION agents_listed(uuid, uuid, text, text, integer, text);
DROP FUNCTION agents_guard_registration();
"""


def _triggers() -> str:
    return "".join(
        f"CREATE TRIGGER {table}_guard BEFORE INSERT ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {function};\n"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_guard;\n"
        for table, function in TRIGGERS.items()
    )


def _drop_triggers() -> str:
    return "".join(f"DROP TRIGGER {table}_guard ON {table};\n" for table in TRIGGERS)


def _registration() -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(
        blank=True,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to="agents.registration",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_people"),
        ("agents", "0003_effect_budgets"),
        ("policies", "0002_immutable"),
    ]

    operations = [
        migrations.CreateModel(
            name="Registration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("versions", models.JSONField()),
                ("registered_by", models.CharField(max_length=200)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "request",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="registration",
                        to="policies.approvalrequest",
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
            options={"ordering": ["-number"]},
        ),
        migrations.AddField("agentversion", "registration", _registration()),
        migrations.AddField("modelendpoint", "registration", _registration()),
        migrations.AddField("toolversion", "registration", _registration()),
        migrations.AddConstraint(
            model_name="registration",
            constraint=models.UniqueConstraint(
                fields=("workspace", "number"), name="registration_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="registration",
            constraint=models.CheckConstraint(
                condition=models.Q(("number", 1), ("request__isnull", False), _connector="OR"),
                name="registration_approved",
            ),
        ),
        migrations.RunSQL(FUNCTIONS + _triggers(), _drop_triggers() + DROP),
    ]
