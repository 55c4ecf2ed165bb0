-- Whether there is, or was lately, a question with this ID.
--   @id text
SELECT EXISTS (SELECT FROM pgbailiff.questions WHERE id = @id::text)
