-- Makes the settings of a session, whatever the role, the database and the
-- connection string say. A setting that this server does not know is left out.
SELECT pg_catalog.count(pg_catalog.set_config(s.name, s.value, false))
FROM (VALUES
    ('application_name', 'pgbailiff-ledger'),
    ('statement_timeout', '3s'),
    ('lock_timeout', '3s'),
    ('idle_in_transaction_session_timeout', '5s'),
    ('transaction_timeout', '5s'),
    ('idle_session_timeout', '0'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    ('client_encoding', 'UTF8'),
    ('standard_conforming_strings', 'on'),
    ('timezone', 'UTC'),
    ('search_path', 'pg_catalog'),
    ('jit', 'off'),
    ('plan_cache_mode', 'force_generic_plan'), -- planning takes longer than the rest
    -- A line must outlive a crash, and a failover where a standby is synchronous.
    ('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit')
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END),
    -- With these the server ends a session whose network path was lost.
    ('tcp_keepalives_idle', '10'),
    ('tcp_keepalives_interval', '3'),
    ('tcp_keepalives_count', '3')
) AS s (name, value)
WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL
