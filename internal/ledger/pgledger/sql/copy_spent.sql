-- The signals that count against the budgets, in a window of this length, and how
-- many seconds ago each began: the reader's clock may differ.
--   @window interval
SELECT server, extract(epoch FROM pg_catalog.clock_timestamp() - begun_at)::float8 AS age
FROM pgbailiff.signals
WHERE spent AND NOT manual AND begun_at > (SELECT pg_catalog.clock_timestamp()) - @window::interval
