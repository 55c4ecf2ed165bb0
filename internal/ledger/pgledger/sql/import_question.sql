-- Adds a question of a file.
--   @id     text
--   @server text
--   @target text
--   @action text
--   @time   timestamptz  when it was asked, or denied
--   @until  timestamptz  until when it waits
--   @answer text         'denied'; NULL: it waits
--   @line   jsonb        the asked line, or the denied one
INSERT INTO pgbailiff.questions (id, server, target, action, asked_at, until, asked, answer, answered_at, answered)
SELECT @id::text, @server::text, @target::text, @action::text, time, @until::timestamptz, line, answer,
       CASE WHEN answer IS NOT NULL THEN time END, CASE WHEN answer IS NOT NULL THEN line END
FROM (VALUES (@time::timestamptz, @answer::text, @line::jsonb)) AS new (time, answer, line)
ON CONFLICT DO NOTHING
