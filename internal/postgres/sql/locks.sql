-- Who waits for a lock, the longest first, and behind whom.
--   $1 int4  for how many of them to ask for the blockers: asking takes the time
--            of all waiters squared
-- "object" names what is waited for, so that a waiter without blockers of its own
-- can be counted behind those of another waiter for the same thing. A blocker 0 is
-- a prepared transaction.
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
       coalesce(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - r.waitstart), 0)::float8 AS age,
       r.object,
       CASE WHEN r.rank <= $1::int4 THEN pg_catalog.pg_blocking_pids(r.pid) ELSE '{}' END AS blockers
FROM ranked AS r
ORDER BY r.rank
