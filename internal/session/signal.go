package session

import (
	"errors"
	"time"
)

// Sentinels for callers that decide what an error means for an alert.
var (
	// ErrUnreachable: the server could not be asked, or the connection broke
	// before its answer came. A later try can help, and is safe: it is fenced.
	ErrUnreachable = errors.New("server unreachable")
	// ErrNotSent goes with ErrUnreachable where the signalling statement
	// certainly never reached the server, so that no signal was sent.
	ErrNotSent = errors.New("not sent")
	// ErrPermissionDenied: PostgreSQL refused our role the signal (SQLSTATE
	// 42501). Nothing was sent.
	ErrPermissionDenied = errors.New("permission denied")
)

// Verb is a signal that PostgreSQL can send to a backend. The zero Verb sends
// nothing.
type Verb string

// The two signals: SIGINT ends the statement, SIGTERM ends the session.
const (
	Cancel    Verb = "cancel"
	Terminate Verb = "terminate"
)

// Verdict is what the signalling statement found.
type Verdict string

// The zero Verdict is none of these and means that nothing was signalled.
const (
	VerdictSignalled  Verdict = "signalled"
	VerdictGone       Verdict = "gone"        // no such session
	VerdictMoved      Verdict = "moved"       // the session is there and does something else
	VerdictUnjudged   Verdict = "unjudged"    // the transaction is there; its statement must be judged and named in the fence first
	VerdictNotVisible Verdict = "not_visible" // our role may not see what it does
	VerdictProtected  Verdict = "protected"   // not a client backend, or one of our own
	VerdictSyncRep    Verdict = "sync_rep"    // waits for a synchronous standby
	VerdictLate       Verdict = "late"        // the fence's NotAfter was over
)

// Observation is one look at a backend after a signal.
type Observation struct {
	ID
	Present bool // the backend exists
	Activity
}

// Signalled is the answer of the signalling statement. After is the session
// as it was seen microseconds after the signal, by the same statement; it has a
// wait event only if the session waited for its client and was still there, with
// nothing begun, when that statement looked a third time.
type Signalled struct {
	Verdict Verdict
	// QueryStart is the statement that the session was in when the fence was
	// checked: the one that was looked at before, or, where the fence names a
	// transaction only, a later one of the same transaction.
	QueryStart time.Time
	// Before and At are the server's clock right before and after the signal.
	Before, At time.Time
	After      Observation
}

// Stands reports whether the fence still holds for what was seen.
func (f Fence) Stands(seen Observation) bool { return seen.Present && f.Holds(seen.ID, seen.Activity) }
