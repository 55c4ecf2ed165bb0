-- Whether the ledger has had one of these lines before.
--   @times  timestamptz[]
--   @lines  jsonb[]
--   @before bigint         the last line that it had
SELECT EXISTS (
    SELECT
    FROM ROWS FROM (pg_catalog.unnest(@times::timestamptz[]), pg_catalog.unnest(@lines::jsonb[])) AS new (time, entry)
    JOIN pgbailiff.entries AS e ON e.time = new.time AND e.entry = new.entry
    WHERE e.seq <= @before::bigint
)
