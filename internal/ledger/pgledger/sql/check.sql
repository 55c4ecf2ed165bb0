-- What every connection is checked for: the encoding of the database and the
-- version of the schema.
SELECT pg_catalog.current_setting('server_encoding'), pg_catalog.max(version) FROM pgbailiff.migrations
