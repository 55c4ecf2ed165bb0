-- The role of pgbailiff. It may see what every session does and may signal the
-- sessions of everybody but superusers; it owns nothing and reads no table.
--
-- Run it on each server (not on standbys, which copy it), as a superuser or, where
-- nobody is one, as a role with CREATEROLE that may grant pg_monitor and
-- pg_signal_backend (rds_superuser, cloudsqlsuperuser, azure_pg_admin). To run it
-- again does no harm:
--
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f role.sql
--
-- Then give the role a password, or let it in by certificate or peer:
--
--   \password pgbailiff

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgbailiff') THEN
    CREATE ROLE pgbailiff;
  END IF;
  -- Only a superuser may say NOSUPERUSER, even where it changes nothing.
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgbailiff'
             AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
    ALTER ROLE pgbailiff NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
  END IF;
END
$$;

ALTER ROLE pgbailiff LOGIN INHERIT;

-- To see: without it PostgreSQL shows NULL for what other sessions do, and
-- pgbailiff refuses to signal what it cannot see (not_visible).
GRANT pg_monitor TO pgbailiff;

-- To act: cancel and terminate. Without it every order is refused
-- (permission_denied). Leave it out while pgbailiff is only to watch.
GRANT pg_signal_backend TO pgbailiff;

COMMENT ON ROLE pgbailiff IS 'watches sessions, and cancels or terminates those that an alert names';

-- When max_connections is exhausted, pgbailiff acts on a connection that it has
-- kept open. From PostgreSQL 16 on it can also be given slots that nobody else
-- may take, so that it can connect again at such a time. Set
-- reserved_connections = 3 (this needs a restart of PostgreSQL), and
--
--   GRANT pg_use_reserved_connections TO pgbailiff;

-- Superusers: pg_signal_backend does not reach their sessions, and no other
-- privilege does. Only a superuser can signal a superuser. Do not make
-- pgbailiff one; give your applications roles that are not superusers instead. A
-- superuser's session is refused (protected_user) before PostgreSQL is asked,
-- unless a rule names it.
