-- Roles by their oids, for while pg_database is locked and names.sql would wait.
--   $1 oid[]  roles, each once
-- A role that was dropped has an empty name. "read_at" is a time before the
-- catalogue is read.
SELECT wanted.oid,
       coalesce(r.rolname, '')::text    AS usename,
       coalesce(r.rolsuper, false)      AS superuser,
       pg_catalog.statement_timestamp() AS read_at
FROM pg_catalog.unnest($1::oid[]) AS wanted(oid)
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = wanted.oid
