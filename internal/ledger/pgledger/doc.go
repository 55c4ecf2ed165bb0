// Package pgledger is the ledger that any number of replicas share: tables in the
// schema pgbailiff of a PostgreSQL database. It has the lines and the limits of
// package ledger, and one thing more, the claim.
//
// A step (ledger.Step) is one verb for one statement or one idleness of one
// backend. Its intent is an insert under a unique key. Who inserts it may signal.
// Everybody else waits for what becomes of it and answers with that (ledger.Taken).
// One backend has one step under way at a time. After a step of which nothing was
// sent, or of which nobody knows what became, the step may be begun again; one whose
// target is gone is over. An order by hand may also repeat what was ignored. A step
// is held for a week.
//
// The intent belongs to one process, its owner, until an instant by the database's
// clock. Then the owner is gone: whoever wants the same step takes its intent over,
// with its ID, so that a step has one intent; whoever wants another step of that
// backend, and ten minutes later the housekeeping, ends it as failed. The former
// owner may have signalled, so that counts, beside what the new owner sends. If the
// owner was only slow, the fence makes it harmless: its outcome is still taken if it
// says that it has signalled, and otherwise the new owner's is.
//
// A caller may not learn whether its intent became durable. It must not signal then,
// and the intent is ended as failed, or made impossible, before long.
//
// Budgets, suspensions and questions are counted in the transaction that inserts
// the line, under an advisory lock for each server and by the database's clock.
// Begin, the way to a signal, is one round trip and one commit.
//
// Whatever the database does (it is down, hangs, is read-only or full), a call ends
// with its context and an error, and then nothing may be signalled. An outcome that
// could not be written is kept and written again, until Close.
//
// Reads for people (Recent, Approvals, Suspended, Spent) come from a copy in memory
// that a goroutine brings up to date every second and after each of our own writes;
// no decision rests on it.
package pgledger
