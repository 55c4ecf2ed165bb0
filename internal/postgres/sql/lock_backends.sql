-- Backends of any type by their pids: those that wait for a lock, the leaders of
-- parallel workers among these, and the root blockers.
--   $1 int4[]  pids, each greater than 0
--   $2 bool    whether to return statement texts
--   $3 oid     our own role
SELECT s.pid, s.backend_start, coalesce(d.datname, '')::text AS datname,
       coalesce(r.rolname, '')::text AS usename,
       coalesce(s.application_name, '') AS application_name,
       coalesce(pg_catalog.host(s.client_addr), '') AS client_addr,
       coalesce(s.state, '') AS state, s.query_start, s.xact_start, s.state_change,
       coalesce(s.wait_event_type, '') AS wait_event_type, coalesce(s.wait_event, '') AS wait_event,
       coalesce(s.query_id, 0) AS query_id,
       CASE WHEN $2::bool AND s.state <> 'fastpath function call' THEN coalesce(s.query, '') ELSE '' END AS query,
       coalesce(pg_catalog.pg_encoding_to_char(d.encoding), '')::text AS encoding,
       coalesce(s.backend_type, '') AS backend_type, coalesce(s.leader_pid, 0) AS leader_pid,
       s.pid = pg_catalog.pg_backend_pid()
         OR coalesce(s.usesysid = $3::oid AND s.application_name = 'pgbailiff', false) AS own
FROM pg_catalog.unnest($1::int4[]) AS target(pid)
CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(target.pid) AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.datid
LEFT JOIN pg_catalog.pg_roles    AS r ON r.oid = s.usesysid
WHERE s.pid = target.pid
