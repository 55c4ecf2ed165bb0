-- Ends an intent whose owner is gone; its signal counts as sent. It answers whether
-- it has.
--   @id text            the intent's
--   @long interval      since when at least the owner is gone
--   @interrupted jsonb  what the outcome has that the intent has not
WITH ended AS (
    UPDATE pgbailiff.signals AS s
    SET outcome = s.intent || @interrupted::jsonb, ended_at = pg_catalog.clock_timestamp(),
        holds = false, sent = NOT s.manual
    WHERE s.id = @id::text AND s.outcome IS NULL AND s.owner_until <= pg_catalog.clock_timestamp() - @long::interval
    RETURNING s.*
), line AS (
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT ended_at, outcome FROM ended
)
SELECT EXISTS (SELECT FROM ended)
