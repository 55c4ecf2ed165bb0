-- The last lines, oldest first; without what the copy has of them already. The whole
-- list is read, because a line may become visible after one that has a higher seq.
--   @known bigint[]  the lines that the copy has
-- The plan is made for any parameters, and with a join it would read all lines. 500
-- is maxRecent.
SELECT last.seq, last.time,
       CASE WHEN known.seq IS NULL
            THEN (SELECT e.entry - 'labels' FROM pgbailiff.entries AS e WHERE e.seq = last.seq)
       END AS entry
FROM (SELECT seq, time FROM pgbailiff.entries ORDER BY time DESC, seq DESC LIMIT 500) AS last
LEFT JOIN pg_catalog.unnest(@known::bigint[]) AS known (seq) ON known.seq = last.seq
ORDER BY last.time, last.seq
