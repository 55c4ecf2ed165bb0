-- Sessions by their pids, for decisions.
--   $1 int4[]  pids, each once, greater than 0 (NULL and -1 would mean every backend)
--   $2 oid     our own role
-- No row: there is no such backend.
--
-- It reads no catalogue, because it would have to wait for any session that has
-- locked pg_database. find_with_names.sql adds the names.
SELECT s.pid,
       s.backend_start,
       coalesce(s.datid, 0)                   AS datid,
       coalesce(s.usesysid, 0)                AS usesysid,
       coalesce(s.application_name, '')       AS application_name,
       coalesce(pg_catalog.host(s.client_addr), '') AS client_addr,
       coalesce(s.backend_type, '')           AS backend_type,
       coalesce(s.leader_pid, 0)              AS leader_pid,
       s.pid = pg_catalog.pg_backend_pid()
         OR coalesce(s.usesysid = $2::oid AND s.application_name = 'pgbailiff', false) AS own,
       coalesce(s.state, '')                  AS state,
       s.query_start,
       s.xact_start,
       s.state_change,
       coalesce(s.wait_event_type, '')        AS wait_event_type,
       coalesce(s.wait_event, '')             AS wait_event,
       coalesce(s.query_id, 0)                AS query_id,
       CASE WHEN s.state = 'fastpath function call' THEN '' ELSE coalesce(s.query, '') END AS query,
       -- PostgreSQL 14 and 15 show a size that is not a multiple of 1kB as "1500B"
       -- and cannot read that.
       coalesce(pg_catalog.octet_length(s.query) >= pg_catalog.pg_size_bytes(pg_catalog.regexp_replace(
         pg_catalog.current_setting('track_activity_query_size'), '(?<=[0-9])B$', '')) - 4, false) AS query_truncated,
       pg_catalog.clock_timestamp()           AS seen_at
FROM pg_catalog.unnest($1::int4[]) AS target(pid)
CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(target.pid) AS s
WHERE s.pid = target.pid
