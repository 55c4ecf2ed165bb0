-- The last lines, oldest first; without what the copy has of them already. The whole
-- list is read, because a line may become visible after one that has a higher seq.
--   @known bigint[]  the lines that the copy has
--   @most  int       how many lines
SELECT last.seq, last.time, CASE WHEN known.seq IS NULL THEN e.entry - 'labels' END AS entry
FROM (SELECT seq, time FROM pgbailiff.entries ORDER BY time DESC, seq DESC LIMIT @most::int) AS last
LEFT JOIN pg_catalog.unnest(@known::bigint[]) AS known (seq) ON known.seq = last.seq
LEFT JOIN pgbailiff.entries AS e ON e.seq = last.seq AND known.seq IS NULL
ORDER BY last.time, last.seq
