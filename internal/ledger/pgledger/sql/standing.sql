-- How it stands with a question after it was asked; no row: too many wait.
--   @target text
--   @action text
(SELECT true AS denied, answered_at AS time, answered - 'query' AS line
 FROM pgbailiff.questions
 WHERE target = @target::text AND answer = 'denied'
 ORDER BY answered_at DESC
 LIMIT 1)
UNION ALL
(SELECT false, asked_at, asked
 FROM pgbailiff.questions
 WHERE target = @target::text AND action = @action::text AND answer IS NULL)
UNION ALL
(SELECT false, asked_at, asked
 FROM pgbailiff.questions
 WHERE target = @target::text AND action = @action::text AND answer = 'approved' AND NOT acted
 LIMIT 1)
