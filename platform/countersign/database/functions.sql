-- Questions that the application may ask across workspaces, which row-level security would
-- otherwise answer with nothing, or before every step of every run, which a transaction of its own
-- would make dear. Each is owned by countersign_lookup, which is above row-level
-- security, may read only what access.py grants it, and answers only what its result says.
-- Every function: STABLE, SECURITY DEFINER, a fixed search_path, and listed in access.FUNCTIONS.

-- Runs that no live worker holds and nobody is waited for, the longest due first.
CREATE OR REPLACE FUNCTION public.countersign_runs_due(most integer)
RETURNS TABLE (workspace_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT r.workspace_id, r.id FROM public.agents_run r
    WHERE r.state IN ('queued', 'running')
      AND (r.wake_at IS NULL OR r.wake_at <= clock_timestamp())
      AND (r.lease_until IS NULL OR r.lease_until < clock_timestamp())
    ORDER BY coalesce(r.wake_at, r.lease_until, r.created)
    LIMIT most
$$;

-- The kill switch in force that holds a run, or this tool in it: the oldest, or none.
CREATE OR REPLACE FUNCTION public.countersign_switch(
    workspace uuid, run uuid, agent text, model text, tool text
)
RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.id FROM public.agents_killswitch k
    WHERE k.lifted_at IS NULL
      AND (k.scope = 'all' OR k.workspace_id = workspace AND (
           k.scope = 'workspace'
        OR k.scope = 'run' AND k.subject = run::text
        OR k.scope = 'agent' AND k.subject = agent
        OR k.scope = 'model' AND k.subject = model
        OR k.scope = 'tool' AND k.subject = tool))
    ORDER BY k.set_at
    LIMIT 1
$$;

-- The version of the policy that decides in a workspace now, or none.
CREATE OR REPLACE FUNCTION public.countersign_policy(workspace uuid)
RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT a.version_id FROM public.policies_policyactivation a
    WHERE a.workspace_id = workspace
    ORDER BY a.sequence DESC
    LIMIT 1
$$;

-- What an agent's effects of a day (UTC) add up to: how many, to how many recipients, and per
-- currency how much, in hundredths. Sums only: who was paid, it does not say.
CREATE OR REPLACE FUNCTION public.countersign_effects(workspace uuid, agent uuid, of date)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH spent AS (
        SELECT e.currency, e.amount_minor, e.recipients FROM public.agents_effectspend e
        WHERE e.workspace_id = workspace AND e.agent_id = agent AND e.day = of
          AND e.released IS NULL
    )
    SELECT jsonb_build_object(
        'writes', (SELECT count(*) FROM spent),
        'recipients', (SELECT count(DISTINCT person)
            FROM spent, jsonb_array_elements_text(spent.recipients) AS person),
        'amounts', (SELECT coalesce(jsonb_object_agg(s.currency, s.minor), '{}') FROM
            (SELECT currency, sum(amount_minor) AS minor FROM spent GROUP BY currency) AS s)
    )
$$;
