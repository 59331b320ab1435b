-- Questions that the application may ask across workspaces, which row-level security would
-- otherwise answer with nothing. Each is owned by countersign_lookup, which is above row-level
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
