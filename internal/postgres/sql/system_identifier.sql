-- A statement of its own, for its privilege is checked even where it is not called.
SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() AS c
