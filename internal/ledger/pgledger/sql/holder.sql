-- Who holds a step, or has another step of that backend under way. It answers one row;
-- the columns but the first are null where nobody does.
--   @id text   of the asker, whose own intent does not count; used: there is one
--   @system text, @pid integer, @backend_start timestamptz, @doing timestamptz,
--   @verb text  the step
SELECT EXISTS (SELECT FROM pgbailiff.signals WHERE id = @id::text) AS used,
       h.id, h.intent, h.outcome, h.ended_at
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT s.id, s.intent, s.outcome, s.ended_at
    FROM pgbailiff.signals AS s
    WHERE s.system = @system::text AND s.pid = @pid::integer AND s.backend_start = @backend_start::timestamptz
      AND s.id <> @id
      AND (s.outcome IS NULL OR s.holds AND s.doing = @doing::timestamptz AND s.verb = @verb::text)
    ORDER BY s.outcome IS NULL
    LIMIT 1
) AS h ON true
