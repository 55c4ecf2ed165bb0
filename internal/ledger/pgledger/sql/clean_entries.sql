-- Removes old lines, some at a time, but none of what is under way, waits for a person
-- or suspends a server. One replica at a time does it.
--   @age  interval  how old
--   @most int       how many
WITH turn AS MATERIALIZED (
    SELECT pg_catalog.pg_try_advisory_xact_lock(1885823596, 2) AS ours
), old AS MATERIALIZED (
    SELECT e.seq
    FROM pgbailiff.entries AS e
    WHERE (SELECT ours FROM turn) AND e.time < (SELECT pg_catalog.clock_timestamp()) - @age::interval
      AND NOT EXISTS (SELECT FROM pgbailiff.signals AS s WHERE s.id = e.id AND s.outcome IS NULL)
      AND NOT EXISTS (SELECT FROM pgbailiff.questions AS q
                      WHERE q.id = e.id AND (q.answer IS NULL OR q.answer = 'approved' AND NOT q.acted))
      AND NOT (e.event = 'suspended'
               AND EXISTS (SELECT FROM pgbailiff.servers AS v WHERE v.server = e.server AND v.suspended))
    ORDER BY e.time
    LIMIT @most::int
)
DELETE FROM pgbailiff.entries WHERE seq = ANY (ARRAY(SELECT seq FROM old)) -- an array, because a join may read all lines
