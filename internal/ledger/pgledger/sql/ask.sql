-- Asks a person, unless one has denied a question about the same target, the same
-- question is open, or too many wait. The lock of the questions is held, and those
-- whose time is over are ended.
--   @id      text
--   @server  text
--   @target  text
--   @action  text
--   @line    jsonb     the asked line, but for its end
--   @waits   interval  how long it waits
--   @most    bigint    how many may wait
WITH asked AS (
    INSERT INTO pgbailiff.questions (id, server, target, action, asked_at, until, asked)
    SELECT @id::text, @server::text, @target::text, @action::text, now, now + @waits::interval,
           @line::jsonb || pg_catalog.jsonb_build_object('until',
               pg_catalog.to_char((now + @waits::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    FROM (SELECT pg_catalog.clock_timestamp() AS now) AS clock
    WHERE NOT EXISTS (SELECT FROM pgbailiff.questions
                      WHERE target = @target::text AND answer = 'denied')
      AND NOT EXISTS (SELECT FROM pgbailiff.questions
                      WHERE target = @target::text AND action = @action::text AND answer IS NULL)
      AND NOT EXISTS (SELECT FROM pgbailiff.questions
                      WHERE target = @target::text AND action = @action::text AND answer = 'approved' AND NOT acted)
      AND (SELECT pg_catalog.count(*) FROM pgbailiff.questions WHERE answer IS NULL) < @most::bigint
    RETURNING asked_at, asked
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT asked_at, asked
FROM asked
