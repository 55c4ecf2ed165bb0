-- The last line that the ledger has; 0: it has none. The lock of the questions is
-- held, so that nobody else imports.
SELECT coalesce(pg_catalog.max(seq), 0) FROM pgbailiff.entries
