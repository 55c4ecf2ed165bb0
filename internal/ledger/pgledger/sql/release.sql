-- Lets a person order again by hand what was signalled and ignored, unless something
-- is under way about that backend.
--   @id text            of the asker, whose own intent does not count
--   @system text, @pid integer, @backend_start timestamptz, @doing timestamptz,
--   @verb text  the step
UPDATE pgbailiff.signals AS s
SET holds = false
WHERE s.system = @system::text AND s.pid = @pid::integer AND s.backend_start = @backend_start::timestamptz
  AND s.doing = @doing::timestamptz AND s.verb = @verb::text
  AND s.holds AND s.outcome ->> 'outcome' = 'ignored'
  AND NOT EXISTS (
    SELECT FROM pgbailiff.signals AS u
    WHERE u.system = s.system AND u.pid = s.pid AND u.backend_start = s.backend_start AND u.outcome IS NULL AND u.id <> @id::text)
