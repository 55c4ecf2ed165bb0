-- The names of the databases and roles of all sessions.
-- A role or database that was dropped has an empty name. "read_at" is a time before
-- the catalogues are read.
SELECT b.datid,
       b.usesysid,
       coalesce(d.datname, '')::text  AS datname,
       coalesce(pg_catalog.pg_encoding_to_char(d.encoding), '')::text AS encoding,
       coalesce(r.rolname, '')::text  AS usename,
       coalesce(r.rolsuper, false)    AS superuser,
       pg_catalog.statement_timestamp() AS read_at
FROM (
  SELECT DISTINCT pg_catalog.pg_stat_get_backend_dbid(i) AS datid, pg_catalog.pg_stat_get_backend_userid(i) AS usesysid
  FROM pg_catalog.pg_stat_get_backend_idset() AS i
) AS b
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = b.datid
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = b.usesysid
