-- The same, with a lock that others wait for. Its session is ended earlier
-- (PgbailiffBlockerCritical).
BEGIN;
UPDATE orders SET paid = true WHERE id = 42;
\! sleep 90
COMMIT;
