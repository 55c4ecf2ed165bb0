// Package policy decides what may be done to a session, and why. It is the
// safety contract of pgbailiff.
//
// It is pure: no I/O, no clock, no goroutine. It takes the labels of an alert, or
// what a person orders, and the session as PostgreSQL shows it now, and returns a
// Decision with a Reason. The zero Decision does nothing, so that a forgotten branch
// does nothing. A fact about the session that was not read permits nothing.
//
// A decision goes down this ladder and stops at the first rung that refuses. The
// rungs 1 to 6 are the rows of the table protections. The rungs 1 to 3 hold
// whatever the configuration says.
//
//	   the session, as our role sees it
//	       │
//	1  may we see the session? ──────────────── no ─▶ not_visible
//	       │
//	2  is it a client's own session? ────────── no ─▶ protected_backend
//	       │   walsenders and autovacuum workers are needed by others, a parallel
//	       │   worker belongs to its leader, and one may be pgbailiff's own
//	       │
//	   may we see what it does? ─────────────── no ─▶ not_visible
//	       │   track_activities is off in it
//	       │
//	3  does it wait for a synchronous standby? yes ─▶ sync_rep
//	       │   the commit is durable here; a cancel would only hide from the
//	       │   client that the standby has not confirmed it
//	       │
//	   the first rule whose matchers all hold
//	       │
//	4  superuser's session? ── rule without a matcher on usename ─▶ protected_user
//	5  backup? ────── rule without a matcher on application_name ─▶ protected_backup
//	6  maintenance? ────────── rule without a matcher on command ─▶ protected_maintenance
//	       │   VACUUM, REINDEX, CLUSTER, REPACK, CREATE or DROP INDEX and
//	       │   DETACH PARTITION CONCURRENTLY, pg_repack
//	       │
//	       │   a matcher lifts a protection only if it is = or =~ and matches
//	       │   neither an empty value nor a made-up name: pg_.* lifts, [a-z_]+
//	       │   does not
//	       │
//	7  the rule says none? ───────────────────────── ─▶ rule
//	   no rule: what do the severities say? nothing  ─▶ no_action
//	       │
//	8  can a cancel work at all? ─────────────── no ─▶ cannot_cancel
//	       │   idle in transaction, aborted, waiting for its own client:
//	       │   PostgreSQL says true and nothing happens. A cancel is never
//	       │   turned into a terminate unless the action says so:
//	       │   cancel-then-terminate begins with terminate here
//	       ▼
//	   cancel or terminate
//
// An order by hand goes down the same ladder. The rungs 1 to 3 are the same. The
// rungs 4 to 7 refuse as well, unless the order lifts that very reason by its name:
// a person who sees the refusal may set it aside, in a second and deliberate step.
// What rules lift and severities say does not matter. A rule matters only if it is
// the first that matches without an alert, and says none.
//
//	   the session, as our role sees it
//	       │
//	1  may we see the session? ──────────────── no ─▶ not_visible
//	2  is it a client's own session? ────────── no ─▶ protected_backend
//	   may we see what it does? ─────────────── no ─▶ not_visible
//	3  does it wait for a synchronous standby? yes ─▶ sync_rep
//	       │
//	4  superuser's session? ──────────── not lifted ─▶ protected_user
//	5  backup? ───────────────────────── not lifted ─▶ protected_backup
//	6  maintenance? ──────────────────── not lifted ─▶ protected_maintenance
//	7  the rule says none? ───────────── not lifted ─▶ rule
//	       │
//	   does the order say what to do? ───────── no ─▶ no_action
//	8  can a cancel work at all? ────────────── no ─▶ cannot_cancel
//	       │   also not in a session that is idle outside a transaction, which
//	       │   only a person may terminate: the fence of an alert cannot name it
//	       ▼
//	   cancel or terminate
//
// Matchers see the alert's labels and, over them, those of the live session: the
// database is the truth about itself. What a statement is, querytext reads from
// its text as PostgreSQL's own lexer does. Where the text cannot tell (it is cut
// off before it says what it is, or something in it is left open), an active
// statement counts as maintenance, because in doubt nobody is signalled.
//
// A rule may say that a person must approve its action first (Decision.Approval).
// Only what would be signalled is asked about, and the whole ladder is gone down
// again when the person has approved.
//
// The policy does not know whether the alert is still right (the fence is checked
// in the statement that signals), how much has been done lately (the ledger
// counts) and whether anything may be done at all (the mode). Count and mode are
// about alerts only.
package policy
