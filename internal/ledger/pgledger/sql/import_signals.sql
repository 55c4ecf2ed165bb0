-- Adds signals of a file, which count against the limits. They hold no step: a file
-- has no claims.
--   @ids     text[]
--   @servers text[]
--   @times   timestamptz[]  of the intents
--   @owner   text
INSERT INTO pgbailiff.signals (id, server, system, pid, backend_start, doing, verb, holds,
                               begun_at, manual, spent, sent, owner, owner_until, intent, outcome, ended_at)
SELECT id, server, 'name:' || server, 0, time, time, '', false,
       time, false, true, true, @owner::text, time,
       pg_catalog.jsonb_build_object('event', 'intent', 'id', id, 'server', server),
       pg_catalog.jsonb_build_object('event', 'outcome', 'id', id, 'server', server, 'signalled', true), time
FROM ROWS FROM (pg_catalog.unnest(@ids::text[]), pg_catalog.unnest(@servers::text[]), pg_catalog.unnest(@times::timestamptz[]))
    AS new (id, server, time)
ON CONFLICT (id) DO NOTHING
