-- The activity of all backends, read once.
--   $1 interval     how old a session must be for its statement's text to be returned
--   $2 bool         whether to return texts at all. They are never cut here: the
--                   session's database may have another encoding, and PostgreSQL
--                   fails to cut a text that is not valid in ours
--   $3 oid          our own role
--   $4 timestamptz  a time before the last snapshot; NULL: read every backend
--   $5 int4[]       backends that were not plainly idle then
--
-- Reading a backend's row costs some 10 microseconds, reading one of its times a
-- hundredth of that. So, of many backends, only those are read that can have
-- changed: those in $5, those in a transaction, those that have begun a statement or
-- their session since $4, and those that show no statement (a session that has run
-- none yet, one that has turned track_activities off, or a background process).
-- Every other backend was idle then and is idle now. Those of our own role are read
-- as well, because some are ours, which are not counted as idle. If more than a
-- quarter is to be read, all are.
--
-- A row is one backend, or, with pid 0, a number of idle client sessions of one
-- database, either all ours or none of them. A database that accepts connections has
-- at least one row with pid 0 of sessions that are not ours, possibly of 0 sessions.
WITH backend AS MATERIALIZED (
  SELECT pg_catalog.pg_stat_get_backend_pid(i)  AS pid,
         pg_catalog.pg_stat_get_backend_dbid(i) AS datid,
         coalesce(pg_catalog.pg_stat_get_backend_xact_start(i) IS NOT NULL
           OR pg_catalog.pg_stat_get_backend_activity_start(i) >= $4::timestamptz
           OR pg_catalog.pg_stat_get_backend_activity_start(i) IS NULL
              AND pg_catalog.pg_stat_get_backend_dbid(i) <> 0
           OR pg_catalog.pg_stat_get_backend_start(i) >= $4::timestamptz
           OR pg_catalog.pg_stat_get_backend_userid(i) = $3::oid
           OR pg_catalog.pg_stat_get_backend_pid(i) = ANY ($5::int4[]), false) AS changed
  FROM pg_catalog.pg_stat_get_backend_idset() AS i
  WHERE $4::timestamptz IS NOT NULL
), pays AS MATERIALIZED (
  SELECT $4::timestamptz IS NOT NULL
         AND pg_catalog.count(*) FILTER (WHERE changed) * 4 <= pg_catalog.count(*) AS yes
  FROM backend
), target AS (
  SELECT NULL::int4 AS pid FROM pays WHERE NOT yes -- NULL: every backend
  UNION ALL
  SELECT backend.pid FROM backend WHERE changed AND (SELECT yes FROM pays)
), act AS MATERIALIZED (
  SELECT s.pid, s.backend_start, s.datid, s.usesysid, s.application_name, s.client_addr, s.backend_type,
         s.state, s.query_start, s.xact_start, s.state_change, s.wait_event_type, s.wait_event, s.query_id,
         CASE WHEN $2::bool AND s.state <> 'idle' AND s.state <> 'fastpath function call'
                   AND LEAST(s.xact_start, s.query_start, s.state_change) <= pg_catalog.clock_timestamp() - $1::interval
              THEN s.query ELSE '' END AS query,
         s.backend_type IS NOT DISTINCT FROM 'client backend' AS client,
         s.pid = pg_catalog.pg_backend_pid()
           OR coalesce(s.usesysid = $3::oid AND s.application_name = 'pgbailiff', false) AS own
  FROM target
  CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(target.pid) AS s
  WHERE (target.pid IS NULL OR s.pid = target.pid)
    AND (s.datid IS NOT NULL OR s.backend_type = 'client backend')
)
SELECT a.pid, 1::int8 AS sessions, a.backend_start,
       coalesce(d.datname, '')::text AS datname, coalesce(r.rolname, '')::text AS usename,
       coalesce(a.application_name, '') AS application_name,
       coalesce(pg_catalog.host(a.client_addr), '') AS client_addr,
       coalesce(a.backend_type, '') AS backend_type, a.own,
       a.backend_type IS NULL AND a.usesysid IS NOT NULL AS hidden, -- its role may have been dropped
       coalesce(a.state, '') AS state, a.query_start, a.xact_start, a.state_change,
       coalesce(a.wait_event_type, '') AS wait_event_type, coalesce(a.wait_event, '') AS wait_event,
       coalesce(a.query_id, 0) AS query_id,
       a.query, coalesce(pg_catalog.pg_encoding_to_char(d.encoding), '')::text AS encoding,
       pg_catalog.clock_timestamp() AS now
FROM act AS a
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
LEFT JOIN pg_catalog.pg_roles    AS r ON r.oid = a.usesysid
WHERE NOT a.client OR a.state IS DISTINCT FROM 'idle'
UNION ALL
SELECT 0, pg_catalog.sum(idle.sessions)::int8, NULL, d.datname::text, '', '', '', '', idle.own, false,
       'idle', NULL, NULL, NULL, idle.wait_event_type, '', 0, '', '', NULL
FROM (
  SELECT act.datid, coalesce(act.wait_event_type, '') AS wait_event_type, act.own, pg_catalog.count(*) AS sessions
  FROM act
  WHERE act.client AND act.state = 'idle'
  GROUP BY 1, 2, 3
  UNION ALL
  SELECT backend.datid, 'Client', false, pg_catalog.count(*)
  FROM backend
  WHERE NOT changed AND backend.datid <> 0 AND (SELECT yes FROM pays)
  GROUP BY 1
  UNION ALL
  SELECT x.oid, 'Client', false, 0 FROM pg_catalog.pg_database AS x WHERE x.datallowconn
) AS idle
JOIN pg_catalog.pg_database AS d ON d.oid = idle.datid
GROUP BY d.datname, idle.wait_event_type, idle.own
