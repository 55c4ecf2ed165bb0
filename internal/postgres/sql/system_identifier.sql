-- This is a statement of its own, because PostgreSQL checks the privilege on a
-- function even if a statement does not come to call it.
SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() AS c
