-- Makes the settings of a session of the command line, after those of all sessions: a
-- large ledger takes its time.
SELECT pg_catalog.count(pg_catalog.set_config(s.name, s.value, false))
FROM (VALUES
    ('statement_timeout', '0'),
    ('lock_timeout', '30s'),
    ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0')
) AS s (name, value)
WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL
