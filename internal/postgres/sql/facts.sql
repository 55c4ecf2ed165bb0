-- What the server is, what we may do there, and the prepared transactions by
-- database.
-- The role is the current one: PostgreSQL checks its privileges to see and to
-- signal, not those of the role that logged in.
-- Without prepared transactions there is one row, whose datname is NULL.
-- A size that is not a multiple of 1kB is shown as "1500B", which pg_size_bytes
-- reads only from PostgreSQL 16 on.
SELECT pg_catalog.current_setting('max_connections')::int8              AS max_connections,
       pg_catalog.pg_is_in_recovery()                                   AS in_recovery,
       pg_catalog.pg_postmaster_start_time()                            AS postmaster_start,
       pg_catalog.statement_timestamp()                                 AS clock,
       pg_catalog.pg_size_bytes(pg_catalog.regexp_replace(
         pg_catalog.current_setting('track_activity_query_size'), '(?<=[0-9])B$', '')) AS text_bytes,
       pg_catalog.current_setting('server_version')                     AS version,
       r.rolname::text                                                  AS role,
       r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') AS can_signal,
       r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE') AS can_see,
       p.database::text                                                 AS datname,
       coalesce(p.n, 0)::int8                                           AS prepared,
       coalesce(p.oldest, 0)::float8                                    AS oldest
FROM pg_catalog.pg_roles AS r
LEFT JOIN (
  SELECT x.database, pg_catalog.count(*) AS n,
         GREATEST(0, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(x.prepared))) AS oldest
  FROM pg_catalog.pg_prepared_xacts AS x
  GROUP BY x.database
) AS p ON true
WHERE r.rolname = CURRENT_USER
