-- Writes one line. A line of its decision ends an order that a person has approved.
--   @line     jsonb  the entry
--   @decision text
WITH line AS (
    INSERT INTO pgbailiff.entries (time, entry) VALUES (pg_catalog.clock_timestamp(), @line::jsonb)
)
UPDATE pgbailiff.questions SET acted = true WHERE id = @decision::text AND answer = 'approved' AND NOT acted
