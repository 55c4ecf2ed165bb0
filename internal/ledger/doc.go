// Package ledger records every decision and its outcome, one JSON object per
// line, and derives from these lines how many signals each server has had.
//
// A line is durable when the call that writes it returns: an intent before its
// signal, an outcome after it, a refusal too. Budgets and suspensions are read
// back from the file at start, so a restart does not reset them.
//
// The grammar of the lines:
//
//   - Each signal has one intent and one outcome with the same ID. An
//     escalation sends two signals, so it has two of each.
//   - A decision without a signal (a refusal, a dry run, a session that is
//     gone) is one outcome without an ID.
//   - Decision joins all lines of one request.
//   - Only a crash leaves an intent without its outcome. The next start writes
//     that outcome as failed, and the signal counts as sent.
//
// An outcome or a suspension whose write failed is written again with the next
// line. Any other line whose write failed is not in the file, and the caller
// has the error.
//
// The limits (budget.go) are computed from values alone, without I/O and
// without a clock. Begin, Finish and Append are the whole interface that an
// action needs.
package ledger
