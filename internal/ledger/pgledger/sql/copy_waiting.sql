-- What waits for a person now, oldest first, and for how many seconds more; without
-- what the copy has of it already.
--   @known text[]  the questions that the copy has
SELECT q.id, q.asked_at, CASE WHEN known.id IS NULL THEN q.asked END AS asked,
       pg_catalog.date_part('epoch', q.until - pg_catalog.clock_timestamp()) AS left
FROM pgbailiff.questions AS q
LEFT JOIN pg_catalog.unnest(@known::text[]) AS known (id) ON known.id = q.id
WHERE q.answer IS NULL AND q.until > pg_catalog.clock_timestamp()
ORDER BY q.asked_at, q.id
