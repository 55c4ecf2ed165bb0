-- Asked first on each new connection, before our settings are made: who we are
-- here, and which server this is.
-- The role is the one that logged in, which pg_stat_activity shows as usesysid
-- also when another one was set since.
-- "started" is in microseconds: the form of a time depends on the role's DateStyle.
SELECT r.oid,
       pg_catalog.pg_backend_pid()                                             AS pid,
       (EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time()) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8 AS started,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_identify
FROM pg_catalog.pg_roles AS r
WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER
