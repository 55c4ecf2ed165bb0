-- Ends what a process that is gone has left under way about this backend, if it is
-- another step. Its signal counts as sent.
--   @system text, @pid integer, @backend_start timestamptz, @doing timestamptz,
--   @verb text          the step that shall begin
--   @interrupted jsonb  what the outcome has that the intent has not
WITH ended AS (
    UPDATE pgbailiff.signals AS s
    SET outcome = s.intent || @interrupted::jsonb, ended_at = pg_catalog.clock_timestamp(),
        holds = false, sent = NOT s.manual
    WHERE s.system = @system::text AND s.pid = @pid::integer AND s.backend_start = @backend_start::timestamptz
      AND NOT (s.doing = @doing::timestamptz AND s.verb = @verb::text)
      AND s.outcome IS NULL AND s.owner_until <= pg_catalog.clock_timestamp()
    RETURNING s.ended_at, s.outcome
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT ended_at, outcome FROM ended
