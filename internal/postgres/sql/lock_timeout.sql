-- Sets how long each of the next statements of this session waits for a lock.
--   $1 text  milliseconds
SELECT pg_catalog.set_config('lock_timeout', $1::text, false)
