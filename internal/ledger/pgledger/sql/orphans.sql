-- The intents whose owner has been gone for long.
--   @long interval
SELECT s.id, s.server
FROM pgbailiff.signals AS s
WHERE s.outcome IS NULL AND s.owner_until <= pg_catalog.clock_timestamp() - @long::interval
ORDER BY s.owner_until
LIMIT 100
