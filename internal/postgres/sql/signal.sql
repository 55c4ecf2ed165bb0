-- The fence and the signal in one statement, for one backend.
--   $1 text         'cancel' or 'terminate'
--   $2 int4         pid, greater than 0
--   $3 timestamptz  backend_start, never NULL
--   $4 timestamptz  query_start; NULL: not required; else the state must be active
--   $5 timestamptz  xact_start; NULL: not required
--   $6 timestamptz  state_change; NULL: not required; else the state must be idle in transaction,
--                   or with $9 idle
--   $7 oid          our own role
--   $8 oid          the session's login role, as it was found; NULL: not known
--   $9 bool         $6 may be the start of plain idleness too; only a person orders that
--   $10 timestamptz nothing is signalled after this instant of our clock; NULL: no limit
--
-- It reads pg_stat_get_activity(pid), never the view: the view builds a row for
-- every backend between the read and the signal. "hit" must not read a catalogue,
-- because it could wait for a lock between the read and the signal. PostgreSQL
-- itself looks up roles before it signals, and waits while pg_authid is locked.
-- Therefore "roles" looks them up before the read, which leaves them in the cache.
-- Run this outside a transaction block: inside one the activity is frozen at the
-- first read.
--
-- Scope. A fence with $4 or $6 is for one statement. With both NULL it is for a
-- transaction, whatever it does now: the statement that was judged may have been
-- followed by another. "unjudged" means that the transaction is there, that nothing
-- was signalled, and that what it does now must be judged and named in the fence
-- first, because its text may be maintenance or a backup, or because a cancel would
-- meet no statement. The text is only searched for words: a false alarm costs one
-- more look. A text that may have lost its end counts as one with such a word. In a
-- fastpath call it is an older statement's and is not searched. It is searched as
-- bytes, with every byte that is not ASCII written as \ooo, because the text of
-- another database need not be valid in this database's encoding. That needs the
-- client_encoding SQL_ASCII.
--
-- "after" looks at the backend again, microseconds later, so that we know if the
-- signal may have met a later statement. "still" looks once more at a backend that
-- waited for its client: if it has begun nothing since, it has cleared the pending
-- cancel. The server keeps the activity for the whole statement, so it must be
-- cleared before each look.
WITH roles AS MATERIALIZED (
  SELECT coalesce(pg_catalog.pg_get_userbyid($8::oid)::text, '')
         || coalesce(pg_catalog.pg_has_role($8::oid, 'USAGE')::text, '') AS known,
         -- PostgreSQL 14 and 15 show a size that is no whole number of kB as "1500B"
         -- and cannot read it. A text is cut at a character.
         pg_catalog.pg_size_bytes(pg_catalog.regexp_replace(
           pg_catalog.current_setting('track_activity_query_size'), '(?<=[0-9])B$', '')) - 4 AS longest_text
), hit AS MATERIALIZED (
  SELECT pg_catalog.clock_timestamp() AS before,
         CASE
           WHEN pg_catalog.clock_timestamp() > $10::timestamptz      THEN 'late'
           WHEN s.pid IS NULL                                        THEN 'gone'
           WHEN s.pid = pg_catalog.pg_backend_pid()                  THEN 'protected'
           WHEN s.backend_start IS NULL OR s.backend_type IS NULL    THEN 'not_visible'
           WHEN s.backend_start IS DISTINCT FROM $3::timestamptz     THEN 'gone'
           WHEN s.backend_type <> 'client backend'                   THEN 'protected'
           WHEN s.leader_pid IS NOT NULL                             THEN 'protected'
           WHEN s.usesysid = $7::oid AND s.application_name = 'pgbailiff' THEN 'protected'
           WHEN s.wait_event = 'SyncRep'                             THEN 'sync_rep'
           WHEN $4::timestamptz IS NOT NULL
                AND (s.query_start IS DISTINCT FROM $4::timestamptz OR s.state IS DISTINCT FROM 'active')
                                                                     THEN 'moved'
           WHEN $5::timestamptz IS NOT NULL AND s.xact_start IS DISTINCT FROM $5::timestamptz
                                                                     THEN 'moved'
           WHEN $6::timestamptz IS NOT NULL
                AND (s.state_change IS DISTINCT FROM $6::timestamptz
                     OR s.state IS NULL
                     OR s.state NOT IN ('idle in transaction', 'idle in transaction (aborted)')
                        AND NOT (s.state = 'idle' AND $9::bool IS TRUE))
                                                                     THEN 'moved'
           WHEN $4::timestamptz IS NULL AND $6::timestamptz IS NULL
                AND $1::text = 'cancel' AND coalesce(s.state, '') NOT IN ('active', 'fastpath function call')
                                                                     THEN 'unjudged'
           WHEN $4::timestamptz IS NULL AND $6::timestamptz IS NULL
                AND s.state IS DISTINCT FROM 'fastpath function call'
                AND (pg_catalog.octet_length(s.query) >= roles.longest_text
                     OR pg_catalog.encode(pg_catalog.textsend(s.query), 'escape') COLLATE pg_catalog."C"
                     ~* 'vacuum|reindex|repack|cluster|concurrently|backup') IS NOT FALSE
                                                                     THEN 'unjudged'
           WHEN $1::text = 'cancel'
             THEN CASE WHEN pg_catalog.pg_cancel_backend(s.pid)    THEN 'signalled' ELSE 'gone' END
           WHEN $1::text = 'terminate'
             THEN CASE WHEN pg_catalog.pg_terminate_backend(s.pid) THEN 'signalled' ELSE 'gone' END
         END AS verdict,
         pg_catalog.clock_timestamp() AS at,
         s.query_start
  FROM roles
  LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(
    CASE WHEN roles.known IS NOT NULL THEN $2::int4 ELSE 0 END) AS s ON s.pid = $2::int4
)
SELECT coalesce(hit.verdict, '')     AS verdict,
       hit.before,
       hit.at,
       hit.query_start               AS met_query_start,
       coalesce(after.state, '')     AS state,
       after.backend_start,
       after.query_start,
       after.xact_start,
       after.state_change,
       CASE WHEN (still.state, still.query_start, still.state_change)
                 = (after.state, after.query_start, after.state_change)
            THEN after.wait_event_type ELSE '' END AS waited_for
FROM hit
LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(
  CASE WHEN hit.verdict = 'signalled' AND pg_catalog.pg_stat_clear_snapshot()::text IS NOT NULL
       THEN $2::int4 ELSE 0 END) AS after
  ON after.pid = $2::int4 AND after.backend_start = $3::timestamptz
LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(
  CASE WHEN after.wait_event_type = 'Client' AND pg_catalog.pg_stat_clear_snapshot()::text IS NOT NULL
       THEN $2::int4 ELSE 0 END) AS still
  ON still.pid = $2::int4 AND still.backend_start = $3::timestamptz
