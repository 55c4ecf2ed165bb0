-- Who we are on a new connection, and which server it leads to. It runs before
-- our settings are made.
-- The role is the one that logged in: pg_stat_activity shows it as usesysid even if
-- another role was set since.
-- "started" is in microseconds, because the form of a time depends on DateStyle.
SELECT r.oid,
       pg_catalog.pg_backend_pid()                                             AS pid,
       (EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time()) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8 AS started,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_identify
FROM pg_catalog.pg_roles AS r
WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER
