-- Makes an ID one that no intent can have any more, if none has it.
--   @id text, @server text, @owner text, @intent jsonb  as for begin.sql
INSERT INTO pgbailiff.signals (id, server, system, pid, backend_start, doing, verb, holds,
    begun_at, manual, spent, sent, owner, owner_until, intent, outcome, ended_at)
SELECT @id::text, @server::text, '', 0, at, at, '', false, at, false, false, false, @owner::text, at, @intent::jsonb, '{}', at
FROM pg_catalog.clock_timestamp() AS at
ON CONFLICT DO NOTHING
