-- Lets one transaction at a time ask: that there is one question for each order, and
-- not too many, are rules over all rows.
SELECT pg_catalog.pg_advisory_xact_lock(1885823596, 1)
