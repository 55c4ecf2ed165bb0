-- The processes that wait for a lock, the longest wait first, and their blockers.
--   $1 int4  for how many processes to look up the blockers and the leader; the time
--            of all look-ups grows with the square of the number of waiters
-- "session" is the pid of the session that the process works for: a parallel
-- worker's leader, otherwise the process itself. "asked" is a time before any lock
-- was read. waitstart is NULL in the first instant of a wait.
-- "object" names what the process waits for, so that a waiter whose blockers were
-- not looked up can be counted behind those of another waiter for the same object.
-- The blocker 0 is a prepared transaction; for a parallel query PostgreSQL returns
-- the leader.
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
