-- Claims a step, takes its signal out of the budget and writes the intent, or says
-- why not. It answers one row:
--   says     allowed, suspended, over_budget, busy or lapsed: nothing came of the
--            approval for so long that it has an outcome
--   id       with allowed, that of the intent; null: somebody else was faster
--   suspends this call has suspended the server
--
--   @id text            the intent's
--   @server text, @decision text
--   @system text, @pid integer, @backend_start timestamptz, @doing timestamptz,
--   @verb text          the step
--   @manual boolean     ordered by hand: the limits do not matter
--   @owner text         this process
--   @patience interval  how long it is the owner
--   @actions bigint, @suspend_after bigint, @window interval,
--   @suspend_window interval  the limits
--   @intent jsonb       the line
--   @suspended jsonb    the line that says that the server is suspended
--   @interrupted jsonb  what an outcome has that the intent has not, where the owner is gone
WITH clock AS MATERIALIZED (
    SELECT pg_catalog.clock_timestamp() AS at
), server AS (
    SELECT c.at, coalesce(v.suspended, false) AS suspended,
           greatest(c.at - @suspend_window::interval, v.resumed_at) AS since
    FROM clock AS c LEFT JOIN pgbailiff.servers AS v ON v.server = @server::text
), usage AS ( -- as in internal/ledger/budget.go
    SELECT pg_catalog.count(*) FILTER (WHERE s.spent AND s.begun_at > v.at - @window::interval) AS actions,
           pg_catalog.count(*) FILTER (WHERE s.spent AND s.begun_at > v.since)                  AS suspending,
           pg_catalog.count(*) FILTER (WHERE s.sent AND s.begun_at > v.since)                   AS sent
    FROM server AS v, pgbailiff.signals AS s
    WHERE s.server = @server AND s.begun_at > v.at - greatest(@window, @suspend_window)
), backend AS (
    SELECT s.*, s.doing = @doing::timestamptz AND s.verb = @verb::text AS same
    FROM pgbailiff.signals AS s
    WHERE s.system = @system::text AND s.pid = @pid::integer AND s.backend_start = @backend_start::timestamptz
      AND (s.outcome IS NULL OR s.holds AND s.doing = @doing AND s.verb = @verb)
), former AS ( -- the owner of this step is gone
    SELECT b.* FROM backend AS b, clock AS c WHERE b.same AND b.outcome IS NULL AND b.owner_until <= c.at
), approval AS MATERIALIZED ( -- unacted.sql leaves it alone from here on
    SELECT q.answer FROM pgbailiff.questions AS q WHERE q.id = @decision::text FOR UPDATE
), verdict AS (
    SELECT v.at, v.suspended,
        CASE
            WHEN EXISTS (SELECT FROM approval WHERE answer = 'expired') THEN 'lapsed'
            WHEN EXISTS (SELECT FROM pgbailiff.signals WHERE id = @id::text) THEN 'busy'
            WHEN EXISTS (SELECT FROM backend AS b
                         WHERE (b.same OR b.outcome IS NULL) AND b.id NOT IN (SELECT f.id FROM former AS f)) THEN 'busy'
            WHEN @manual::boolean THEN 'allowed'
            WHEN v.suspended OR u.sent > 0 AND u.sent >= @suspend_after::bigint THEN 'suspended'
            WHEN u.actions < @actions::bigint AND u.suspending < @suspend_after THEN 'allowed'
            ELSE 'over_budget'
        END AS says
    FROM server AS v, usage AS u
), begun AS (
    INSERT INTO pgbailiff.signals (id, server, system, pid, backend_start, doing, verb, holds,
        begun_at, manual, spent, sent, suspend_after, suspend_window, owner, owner_until, attempt, intent)
    SELECT @id, @server, @system, @pid, @backend_start, @doing, @verb, true,
        w.at, @manual, NOT @manual, false, @suspend_after, @suspend_window, @owner::text, w.at + @patience::interval, @id, @intent::jsonb
    FROM verdict AS w
    WHERE w.says = 'allowed' AND NOT EXISTS (SELECT FROM former)
    ON CONFLICT DO NOTHING
    RETURNING id
), line AS (
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT w.at, @intent FROM verdict AS w, begun
), taken AS ( -- the intent that is there gets a new owner
    UPDATE pgbailiff.signals AS s
    SET server = @server, begun_at = w.at, manual = @manual, spent = NOT @manual, sent = false,
        suspend_after = @suspend_after, suspend_window = @suspend_window,
        owner = @owner, owner_until = w.at + @patience, attempt = @id,
        intent = @intent || pg_catalog.jsonb_build_object('id', s.id)
    FROM former AS f, verdict AS w
    WHERE w.says = 'allowed' AND s.id = f.id AND s.outcome IS NULL AND s.owner_until <= w.at
    RETURNING s.id
), counted AS ( -- what the former owner may have signalled counts, at its own time
    INSERT INTO pgbailiff.signals (id, server, system, pid, backend_start, doing, verb, holds,
        begun_at, manual, spent, sent, owner, owner_until, intent, outcome, ended_at)
    SELECT f.id || '/' || pg_catalog.gen_random_uuid(), f.server, f.system, f.pid, f.backend_start, f.doing, f.verb, false,
        f.begun_at, false, true, true, f.owner, f.owner_until, f.intent, f.intent || @interrupted::jsonb, w.at
    FROM former AS f JOIN taken AS t ON t.id = f.id, verdict AS w
    WHERE NOT f.manual
), acted AS (
    UPDATE pgbailiff.questions SET acted = true
    WHERE id = @decision::text AND answer = 'approved' AND NOT acted
      AND (EXISTS (SELECT FROM begun) OR EXISTS (SELECT FROM taken))
), suspends AS (
    INSERT INTO pgbailiff.servers AS v (server, suspended)
    SELECT @server, true FROM verdict AS w WHERE w.says = 'suspended' AND NOT w.suspended
    ON CONFLICT (server) DO UPDATE SET suspended = true
    RETURNING v.server
), suspension AS (
    INSERT INTO pgbailiff.entries (time, entry)
    SELECT w.at, @suspended::jsonb FROM verdict AS w, suspends
)
SELECT w.says, coalesce((SELECT id FROM begun), (SELECT id FROM taken)) AS id, EXISTS (SELECT FROM suspends) AS suspends
FROM verdict AS w
