-- Makes settings for the rest of the session.
--   $1 text[]  names; those that this server does not know are left out
--   $2 text[]  their values
SELECT pg_catalog.count(pg_catalog.set_config(s.name, s.value, false))
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s (name, value)
WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL
