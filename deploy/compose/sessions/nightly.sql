-- As long, but a rule in pgbailiff.yml says that it may take its time: refused.
SELECT pg_sleep(300);
