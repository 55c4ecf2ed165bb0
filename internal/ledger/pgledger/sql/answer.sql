-- Answers a question, if it waits and its time is not over. Of all who try exactly one
-- gets the asked line.
--   @id     text
--   @answer text   approved or denied
--   @line   jsonb  the keys of the line that differ from those of the asked one
WITH answered AS (
    UPDATE pgbailiff.questions
    SET answer = @answer::text, answered_at = pg_catalog.clock_timestamp(),
        answered = (asked - '{outcome,labels,starts_at,until}'::text[]) || @line::jsonb
    WHERE id = @id::text AND answer IS NULL AND until > pg_catalog.clock_timestamp()
    RETURNING answered_at, answered, asked_at, asked
), line AS (
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT answered_at, answered
    FROM answered
)
SELECT asked_at, asked FROM answered
