-- Ends the questions whose time is over, and writes the lines about it. What somebody
-- else is answering or ending just now is left alone.
--   @withdrawn text[]  IDs of questions that must not wait whatever their time is,
--                      because the caller of Ask was told that it failed
--   @line      jsonb   the keys of the line that differ from those of the asked one
--   @detail    text    and the detail, for those withdrawn
WITH due AS MATERIALIZED (
    SELECT id, until > pg_catalog.clock_timestamp() AS early
    FROM pgbailiff.questions
    WHERE answer IS NULL AND (until <= pg_catalog.clock_timestamp() OR id = ANY (@withdrawn::text[]))
    FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE pgbailiff.questions AS q
    SET answer = 'expired', answered_at = pg_catalog.clock_timestamp(),
        answered = (q.asked - '{outcome,labels,starts_at,until}'::text[]) || @line::jsonb
            || CASE WHEN due.early THEN pg_catalog.jsonb_build_object('detail', @detail::text) ELSE '{}' END
    FROM due
    WHERE q.id = due.id
    RETURNING q.id, q.asked_at, q.answered_at, q.answered
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT answered_at, answered
FROM ended
ORDER BY asked_at, id
