-- Writes that nothing has come of an approval whose process has ended.
--   @patience interval  how long after the approval a line of its decision may come
--   @line     jsonb     the keys of the line that differ from those of the approved one
WITH due AS MATERIALIZED (
    SELECT id
    FROM pgbailiff.questions
    WHERE answer = 'approved' AND NOT acted AND answered_at <= pg_catalog.clock_timestamp() - @patience::interval
    FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE pgbailiff.questions AS q
    SET acted = true, answer = 'expired' -- begin.sql does not begin it any more
    FROM due
    WHERE q.id = due.id
    RETURNING q.id, q.answered_at, q.answered
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT pg_catalog.clock_timestamp(), (answered - 'id') || @line::jsonb
FROM ended
ORDER BY answered_at, id
