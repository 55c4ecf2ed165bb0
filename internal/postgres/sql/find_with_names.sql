-- The sessions of find.sql, which is put in its place below, with the names of
-- their databases and roles. It waits while pg_database or pg_authid is locked. A
-- role or database that was dropped has an empty name. "read_at" is a time before
-- the catalogues are read. OFFSET 0 makes the planner look up each name by the
-- index; for a join it would read both catalogues whole.
SELECT f.*,
       coalesce(d.datname, '')::text    AS datname,
       coalesce(d.encoding, '')::text   AS encoding,
       coalesce(r.rolname, '')::text    AS usename,
       coalesce(r.rolsuper, false)      AS superuser,
       pg_catalog.statement_timestamp() AS read_at
FROM (
  -- find.sql
) AS f
LEFT JOIN LATERAL (
  SELECT x.datname, pg_catalog.pg_encoding_to_char(x.encoding) AS encoding
  FROM pg_catalog.pg_database AS x
  WHERE x.oid = f.datid
  OFFSET 0
) AS d ON true
LEFT JOIN LATERAL (
  SELECT x.rolname, x.rolsuper FROM pg_catalog.pg_roles AS x WHERE x.oid = f.usesysid OFFSET 0
) AS r ON true
