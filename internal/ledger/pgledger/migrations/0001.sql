-- The first schema. Every name is qualified, so the search_path does not matter.
-- A schema that is there already may be used by a role that may create none.
DO $$ BEGIN
    IF pg_catalog.to_regnamespace('pgbailiff') IS NULL THEN
        CREATE SCHEMA pgbailiff;
    END IF;
END $$;

CREATE TABLE pgbailiff.migrations (
    version    integer     PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Every line of the ledger, in the order in which it was written. The entry is the
-- line without its time, which comes from this database's clock; the generated
-- columns are those that are searched for.
CREATE TABLE pgbailiff.entries (
    seq      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time     timestamptz NOT NULL,
    entry    jsonb       NOT NULL,
    event    text        NOT NULL GENERATED ALWAYS AS (entry ->> 'event') STORED,
    server   text        NOT NULL GENERATED ALWAYS AS (entry ->> 'server') STORED,
    id       text        GENERATED ALWAYS AS (entry ->> 'id') STORED,
    decision text        GENERATED ALWAYS AS (entry ->> 'decision') STORED,
    replica  text        GENERATED ALWAYS AS (entry ->> 'replica') STORED
);
CREATE INDEX entries_time ON pgbailiff.entries (time);
CREATE INDEX entries_decision ON pgbailiff.entries (decision);

-- One row for each intent that counts, holds its step, or has no outcome yet.
CREATE TABLE pgbailiff.signals (
    id            text        PRIMARY KEY,
    server        text        NOT NULL,
    -- the step
    system        text        NOT NULL,
    pid           integer     NOT NULL,
    backend_start timestamptz NOT NULL,
    doing         timestamptz NOT NULL,
    verb          text        NOT NULL,
    holds         boolean     NOT NULL,  -- nobody else may begin this step
    -- the limits
    begun_at      timestamptz NOT NULL,
    manual        boolean     NOT NULL,  -- ordered by hand: counts towards no limit
    spent         boolean     NOT NULL,  -- counts against the budget
    sent          boolean     NOT NULL,  -- counts towards a suspension
    -- who carries it out, until when; afterwards that process is gone
    owner         text        NOT NULL,
    owner_until   timestamptz NOT NULL,
    intent        jsonb       NOT NULL,  -- the lines, without their times
    outcome       jsonb,                 -- null: under way
    ended_at      timestamptz,           -- the time of the outcome
    -- the ID that its owner has asked for: the row's own, but after a takeover
    attempt       text        NOT NULL DEFAULT '',
    -- the limits that suspend the server once the signal was sent
    suspend_after  bigint     NOT NULL DEFAULT 1,
    suspend_window interval   NOT NULL DEFAULT '0'
);
CREATE UNIQUE INDEX signals_step ON pgbailiff.signals (system, pid, backend_start, doing, verb) WHERE holds;
CREATE UNIQUE INDEX signals_under_way ON pgbailiff.signals (system, pid, backend_start) WHERE outcome IS NULL;
CREATE INDEX signals_server ON pgbailiff.signals (server, begun_at);
CREATE INDEX signals_spent ON pgbailiff.signals (begun_at) WHERE spent;

CREATE TABLE pgbailiff.servers (
    server     text        PRIMARY KEY,
    suspended  boolean     NOT NULL DEFAULT false,
    resumed_at timestamptz
);

-- One row for each order that a person was asked about.
CREATE TABLE pgbailiff.questions (
    id          text        PRIMARY KEY,
    server      text        NOT NULL,
    target      text        NOT NULL,  -- what a denial is about: the server and what the order names there
    action      text        NOT NULL,
    asked_at    timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    answer      text,                  -- approved, denied or expired; null: waits
    answered_at timestamptz,
    acted       boolean     NOT NULL DEFAULT false,  -- an approved one: a line of its decision follows
    asked       jsonb       NOT NULL,
    answered    jsonb
);
CREATE UNIQUE INDEX questions_waiting ON pgbailiff.questions (target, action) WHERE answer IS NULL;
CREATE INDEX questions_denied ON pgbailiff.questions (target) WHERE answer = 'denied';
CREATE INDEX questions_unacted ON pgbailiff.questions (target, action) WHERE answer = 'approved' AND NOT acted;

-- The lines as people and the board Decisions read them: one column for each key.
CREATE VIEW pgbailiff.decisions AS
SELECT seq, time, event, server,
       nullif((entry ->> 'pid')::integer, 0)      AS pid,
       entry ->> 'usename'                        AS usename,
       entry ->> 'datname'                        AS datname,
       entry ->> 'application_name'               AS application_name,
       entry ->> 'client_addr'                    AS client_addr,
       entry ->> 'action'                         AS action,
       entry ->> 'outcome'                        AS outcome,
       entry ->> 'reason'                         AS reason,
       entry ->> 'rule'                           AS rule,
       coalesce((entry ->> 'signalled')::boolean, false) AS signalled,
       entry ->> 'detail'                         AS detail,
       entry ->> 'source'                         AS source,
       entry ->> 'by'                             AS by,
       entry ->> 'comment'                        AS comment,
       entry ->> 'alertname'                      AS alertname,
       entry ->> 'severity'                       AS severity,
       entry ->> 'fingerprint'                    AS fingerprint,
       entry ->> 'state'                          AS state,
       entry ->> 'wait_event_type'                AS wait_event_type,
       entry ->> 'wait_event'                     AS wait_event,
       entry ->> 'query'                          AS query,
       entry ->> 'session_id'                     AS session_id,
       (entry ->> 'backend_start')::timestamptz   AS backend_start,
       (entry ->> 'query_start')::timestamptz     AS query_start,
       (entry ->> 'xact_start')::timestamptz      AS xact_start,
       (entry ->> 'state_change')::timestamptz    AS state_change,
       entry ->> 'system_identifier'              AS system_identifier,
       id, decision, replica
FROM pgbailiff.entries;
