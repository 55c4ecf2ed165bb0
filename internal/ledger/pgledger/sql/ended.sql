-- Which of these intents nobody carries out any more: they have an outcome, or their
-- owner is gone, or they are not there.
--   @ids text[]
SELECT w.id
FROM pg_catalog.unnest(@ids::text[]) AS w (id) LEFT JOIN pgbailiff.signals AS s ON s.id = w.id
WHERE s.id IS NULL OR s.outcome IS NOT NULL OR s.owner_until <= pg_catalog.clock_timestamp()
