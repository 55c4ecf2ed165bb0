-- Some lines, in order.
--   @after bigint       only those after this one
--   @since timestamptz  only those since then; NULL: all
--   @most  int          how many
SELECT seq, time, entry
FROM pgbailiff.entries
WHERE seq > @after::bigint AND (@since::timestamptz IS NULL OR time >= @since::timestamptz)
ORDER BY seq
LIMIT @most::int
