-- Moves an intent to another statement of the same transaction, if it is still ours
-- and nobody holds that step. It answers whether it has.
--   @id text, @owner text, @patience interval  as for begin.sql
--   @system text, @pid integer, @backend_start timestamptz, @doing timestamptz,
--   @verb text  the step that it becomes
WITH moved AS (
    UPDATE pgbailiff.signals AS s
    SET system = @system::text, pid = @pid::integer, backend_start = @backend_start::timestamptz,
        doing = @doing::timestamptz, verb = @verb::text,
        owner_until = pg_catalog.clock_timestamp() + @patience::interval
    WHERE s.id = @id::text AND s.owner = @owner::text AND s.outcome IS NULL
      AND NOT EXISTS (
        SELECT FROM pgbailiff.signals AS h
        WHERE h.system = @system AND h.pid = @pid AND h.backend_start = @backend_start
          AND h.doing = @doing AND h.verb = @verb AND h.holds AND h.id <> s.id)
    RETURNING s.id
)
SELECT EXISTS (SELECT FROM moved)
