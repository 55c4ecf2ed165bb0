-- Sets how long each of the next statements of this session may take.
--   $1 text  milliseconds
SELECT pg_catalog.set_config('statement_timeout', $1::text, false)
