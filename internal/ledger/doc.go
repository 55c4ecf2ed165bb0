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
//   - An order that a person was asked about is one asked line and one line that
//     ends the waiting: approved, denied or expired. They share one ID, which is
//     the Decision of these lines and of all later ones. The asked line has the
//     outcome pending and what is needed to decide anew; the others have no
//     outcome.
//   - After an approved line the order is carried out, or not: an intent or an
//     outcome of that Decision follows. Only a crash leaves an approved line
//     without one, and the next start writes an outcome, failed. Nothing was
//     signalled then.
//   - Only a crash leaves an intent without its outcome. The next start writes
//     that outcome as failed, and the signal counts as sent.
//
// An order by hand (SourceManual) has an intent and an outcome like any other, and
// counts towards no limit.
//
// A new file begins with checkpoints: what the lines before it would give. What
// they hold (open intents, questions, denials) has an empty event, and is no
// second line.
//
// An outcome of a signal or of an approval, a suspension or an expiry whose write
// failed is written again with the next line. Any other line whose write failed is not in the file, and the caller
// has the error.
//
// The limits (budget.go) are computed from values alone, without I/O and
// without a clock. Begin, Finish and Append are the whole interface that an
// action needs; Ask and Answer are that of a question.
package ledger
