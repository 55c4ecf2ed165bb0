-- Lets one transaction at a time write about a server. It comes first in its
-- transaction, which takes no second lock of this kind.
--   @lock bigint  see lockOf
SELECT pg_catalog.pg_advisory_xact_lock(@lock::bigint)
