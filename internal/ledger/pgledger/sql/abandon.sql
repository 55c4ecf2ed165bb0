-- Ends an intent that became durable after its caller had stopped waiting, and so
-- sends no signal. What a former owner may have sent counts on its own, and what
-- somebody else has taken over meanwhile is that one's attempt.
--   @id text        that was asked for
--   @outcome jsonb  what the outcome has that the intent has not
WITH ended AS (
    UPDATE pgbailiff.signals AS s
    SET outcome = s.intent || @outcome::jsonb, ended_at = pg_catalog.clock_timestamp(), holds = false, spent = false, sent = false
    WHERE s.attempt = @id::text AND s.outcome IS NULL
    RETURNING s.ended_at, s.outcome
)
INSERT INTO pgbailiff.entries (time, entry)
SELECT ended_at, outcome FROM ended
