-- Ends the suspension of a server.
--   @server text
--   @line jsonb  the line that says so
WITH clock AS MATERIALIZED (
    SELECT pg_catalog.clock_timestamp() AS at
), resumed AS (
    INSERT INTO pgbailiff.servers (server, suspended, resumed_at)
    SELECT @server::text, false, at FROM clock
    ON CONFLICT (server) DO UPDATE SET suspended = false, resumed_at = excluded.resumed_at
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT at, @line::jsonb FROM clock
