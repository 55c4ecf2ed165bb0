// Package pgledger is the ledger that any number of replicas share: tables in the
// schema pgbailiff of a PostgreSQL database. It has the lines and the limits of
// package ledger, and one thing more, the claim.
//
// A step (ledger.Step) is one verb for one statement or one idleness of one
// backend. Its intent is an insert under a unique key. Who inserts it may signal.
// Everybody else waits for what becomes of it and answers with that (ledger.Taken).
// One backend has one step under way at a time. After a step of which nothing was
// sent, or of which nobody knows what became, the step may be begun again.
//
// The intent belongs to one process, its owner, until an instant by the database's
// clock. Then the owner is gone: whoever wants the same step takes its intent over,
// with its ID, so that a step has one intent; whoever wants another step of that
// backend, and in the end the housekeeping, ends it as failed. The fence makes it
// harmless if the owner was only slow.
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
