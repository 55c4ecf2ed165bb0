-- What sessions that were signalled do now. No row: the backend is gone.
--   $1 int4[]  pids, each greater than 0
SELECT s.pid,
       s.backend_start,
       coalesce(s.state, '')       AS state,
       s.query_start,
       s.xact_start,
       s.state_change,
       coalesce(s.wait_event_type, '') AS wait_event_type
FROM pg_catalog.unnest($1::int4[]) AS target(pid)
CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(target.pid) AS s
WHERE s.pid = target.pid
