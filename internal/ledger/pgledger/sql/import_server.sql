-- Adds what holds for a server. A suspension stays, whichever side has it.
--   @server    text
--   @suspended bool
--   @resumed   timestamptz  the last resumption; NULL: never
INSERT INTO pgbailiff.servers AS known (server, suspended, resumed_at)
VALUES (@server::text, @suspended::bool, @resumed::timestamptz)
ON CONFLICT (server) DO UPDATE
SET suspended = known.suspended OR excluded.suspended,
    resumed_at = greatest(known.resumed_at, excluded.resumed_at)
