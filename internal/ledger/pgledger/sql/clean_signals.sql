-- Removes signals that count no more and hold no step, some at a time. No window is
-- longer than a day. One replica at a time does it.
--   @most int  how many
WITH turn AS MATERIALIZED (
    SELECT pg_catalog.pg_try_advisory_xact_lock(1885823596, 2) AS ours
), old AS MATERIALIZED (
    SELECT id
    FROM pgbailiff.signals
    WHERE (SELECT ours FROM turn) AND outcome IS NOT NULL
      AND begun_at < (SELECT pg_catalog.clock_timestamp()) - CASE WHEN holds THEN interval '7 days' ELSE interval '1 day' END
    LIMIT @most::int
)
DELETE FROM pgbailiff.signals AS s USING old WHERE s.id = old.id AND s.outcome IS NOT NULL
