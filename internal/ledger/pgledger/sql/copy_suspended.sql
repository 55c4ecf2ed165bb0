-- The servers that are suspended.
SELECT server FROM pgbailiff.servers WHERE suspended
