-- Writes the one outcome of an intent. It answers one row:
--   ended     an intent has waited for it; one that another process has taken over
--             waits for that one, or for the truth: that it was signalled
--   already   it has this very outcome since before
--   suspends  the server is suspended now, and was not before
--   @id text, @server text, @owner text
--   @signalled boolean  the signal was sent, or may have been
--   @holds boolean      the step is not begun again
--   @outcome jsonb      the line; without a decision it gets the intent's
--   @suspended jsonb    the line that says that the server is suspended
WITH clock AS MATERIALIZED (
    SELECT pg_catalog.clock_timestamp() AS at
), ended AS (
    UPDATE pgbailiff.signals AS s
    SET outcome = pg_catalog.jsonb_build_object('decision', s.intent -> 'decision') || @outcome::jsonb,
        ended_at = c.at, holds = @holds::boolean,
        spent = @signalled::boolean AND NOT s.manual, sent = @signalled AND NOT s.manual
    FROM clock AS c
    WHERE s.id = @id::text AND s.server = @server::text AND s.outcome IS NULL AND (s.owner = @owner::text OR @signalled)
    RETURNING s.*
), line AS (
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT ended_at, outcome FROM ended
    RETURNING seq
), usage AS ( -- as of the intent, by the limits that allowed it
    SELECT e.server, pg_catalog.count(*) FILTER (WHERE CASE s.id WHEN e.id THEN e.sent ELSE s.sent END) AS sent, e.suspend_after
    FROM ended AS e
        LEFT JOIN pgbailiff.servers AS v ON v.server = e.server
        JOIN pgbailiff.signals AS s ON s.server = e.server
            AND s.begun_at > greatest(e.begun_at - e.suspend_window, v.resumed_at)
    WHERE e.sent AND NOT coalesce(v.suspended, false)
    GROUP BY e.server, e.suspend_after
), suspends AS (
    INSERT INTO pgbailiff.servers AS v (server, suspended)
    SELECT u.server, true FROM usage AS u WHERE u.sent > 0 AND u.sent >= u.suspend_after
    ON CONFLICT (server) DO UPDATE SET suspended = true
    RETURNING v.server
), suspension AS ( -- after the outcome, whose seq it waits for
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT c.at, @suspended::jsonb FROM clock AS c, suspends, line
)
SELECT EXISTS (SELECT FROM ended) AS ended,
       EXISTS (SELECT FROM pgbailiff.signals AS s WHERE s.id = @id AND s.server = @server AND s.outcome @> @outcome) AS already,
       EXISTS (SELECT FROM suspends) AS suspends
