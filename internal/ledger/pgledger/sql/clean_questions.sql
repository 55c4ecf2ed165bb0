-- Removes questions that are over, some at a time. One replica at a time does it.
--   @denied interval  how old, of those that were denied; NULL: they stay
--   @others interval  how old, of those that were approved or have expired
--   @most   int       how many
WITH turn AS MATERIALIZED (
    SELECT pg_catalog.pg_try_advisory_xact_lock(1885823596, 2) AS ours
), old AS MATERIALIZED (
    SELECT id
    FROM pgbailiff.questions
    WHERE (SELECT ours FROM turn) AND CASE
        WHEN answer = 'denied' THEN answered_at < pg_catalog.clock_timestamp() - @denied::interval
        WHEN answer = 'expired' OR answer = 'approved' AND acted
            THEN answered_at < pg_catalog.clock_timestamp() - @others::interval
        END
    LIMIT @most::int
)
DELETE FROM pgbailiff.questions AS q USING old WHERE q.id = old.id
