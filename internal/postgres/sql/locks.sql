-- Who waits for a lock, the longest first, and behind whom.
--   $1 int4  for how many of them to ask for the blockers, and whether they are
--            parallel workers: asking takes the time of all waiters squared
-- "session" is the pid of whom the process waits for: a parallel worker waits for
-- its leader. "asked" is a time before any of this was read. waitstart is NULL for
-- the first instant of a wait.
-- "object" names what is waited for, so that a waiter without blockers of its own
-- can be counted behind those of another waiter for the same thing. A blocker 0 is
-- a prepared transaction; of a parallel query PostgreSQL names the leader.
WITH waiter AS MATERIALIZED (
  SELECT l.pid, pg_catalog.min(l.waitstart) AS waitstart,
         pg_catalog.min(ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid,
                            l.transactionid, l.classid, l.objid, l.objsubid)::text) AS object
  FROM pg_catalog.pg_locks AS l
  WHERE NOT l.granted AND l.pid IS NOT NULL
  GROUP BY l.pid
), ranked AS (
  SELECT waiter.*, pg_catalog.row_number() OVER (ORDER BY waitstart NULLS LAST, pid) AS rank
  FROM waiter
)
SELECT r.pid,
       coalesce(CASE WHEN r.rank <= $1::int4 THEN (
         SELECT pg_catalog.min(s.leader_pid)
         FROM pg_catalog.pg_stat_get_activity(r.pid) AS s
         WHERE s.pid = r.pid AND s.backend_type = 'parallel worker') END, r.pid) AS session,
       r.waitstart,
       coalesce(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - r.waitstart), 0)::float8 AS age,
       r.object,
       CASE WHEN r.rank <= $1::int4 THEN pg_catalog.pg_blocking_pids(r.pid) ELSE '{}' END AS blockers,
       pg_catalog.statement_timestamp() AS asked
FROM ranked AS r
ORDER BY r.rank
