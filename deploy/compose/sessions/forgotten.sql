-- A transaction that somebody has left open. A cancel cannot end it: its session
-- is ended (PgbailiffIdleInTransactionCritical).
BEGIN;
SELECT count(*) FROM orders;
\! sleep 120
COMMIT;
