-- A query that nobody waits for any more. It is cancelled (PgbailiffLongQuery).
SELECT pg_sleep(300);
