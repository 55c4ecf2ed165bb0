-- Asked once, on each new connection: who we are here, and which server this is.
SELECT r.oid,
       (SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() AS c) AS system_identifier
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = SESSION_USER
