package session

import (
	"errors"
	"time"
)

// Sentinels for those who decide what an error means for an alert.
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
	VerdictUnjudged   Verdict = "unjudged"    // the transaction is there; its statement must be judged and pinned first
	VerdictNotVisible Verdict = "not_visible" // our role may not see what it does
	VerdictProtected  Verdict = "protected"   // not a client backend, or one of our own
	VerdictSyncRep    Verdict = "sync_rep"    // waits for a synchronous standby
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

// EndedBefore reports whether what the session did had certainly ended before
// the signal, and nothing else has begun since: the signal met an idle session.
// A fastpath call is something else, though it keeps the query_start.
func (r Signalled) EndedBefore() bool {
	after := r.After
	return r.Verdict == VerdictSignalled && r.After.Present &&
		after.State != StateActive && after.State != StateFastpath &&
		after.QueryStart.Equal(r.QueryStart) &&
		after.StateChange.Before(r.Before)
}

// Stands reports whether the fence still holds for what was seen.
func (f Fence) Stands(seen Observation) bool { return seen.Present && f.Holds(seen.ID, seen.Activity) }

// ending is the fence for the look right after the signal: a backend that
// aborts or exits has let go of its transaction, and thereby of xact_start,
// while it still shows the rest.
func (f Fence) ending(verb Verb, r Signalled) Fence {
	after := r.After
	if after.XactStart.IsZero() && after.QueryStart.Equal(r.QueryStart) &&
		(after.State == StateActive || verb == Terminate && after.State.InIdleTransaction()) {
		f.XactStart = time.Time{}
	}
	return f
}

// reach is how long after the clock before the signal a statement may begin
// and still count as met. On two busy cores up to 130 µs lay between that clock
// and the victim's interrupt, and at least 180 µs between that clock and the
// next statement of a client that goes on as soon as it is told of the cancel.
const reach = 150 * time.Microsecond

// Encounter says what a signal met beside, or instead of, what the fence
// names.
type Encounter int

// The encounters.
const (
	MetTarget Encounter = iota
	// PerhapsSuccessor: another statement had begun when we looked again, after
	// the clock before the signal and before the clock after it. Nearly always
	// it is the client that has gone on, while the server's process had lost its
	// processor to the one that it woke; the clocks cannot tell.
	PerhapsSuccessor
	// MetSuccessor: what is named had ended by itself before the signal, and the
	// session had begun another statement.
	MetSuccessor
	// Unsettled: when we looked again what is named had ended, nothing else had
	// begun, and the session did not wait for its client. PostgreSQL drops a
	// cancel that comes between two statements, but the next one may already have
	// been on its way. See Settling.
	Unsettled
)

// Met tells, as far as the server's own timestamps do, what the signal met. It
// goes by the look that the signalling statement itself took right after the
// signal.
//
// PostgreSQL handles a signal inside whatever the backend is doing when it
// arrives, so if the named activity is still there after the signal, the
// signal met it. A cancel that arrives between statements is dropped. A
// terminate ends the session in the activity that it met, so that any other
// that is seen afterwards was met.
func (f Fence) Met(verb Verb, r Signalled) Encounter {
	next := r.After.QueryStart
	switch {
	case r.Verdict != VerdictSignalled || !r.After.Present || f.ending(verb, r).Stands(r.After):
		return MetTarget
	case verb == Terminate:
		return MetSuccessor
	case r.After.State == StateFastpath: // shows the query_start of the statement before
		return MetSuccessor
	case next.Equal(r.QueryStart) && !r.After.waits():
		return Unsettled
	case next.Equal(r.QueryStart):
		return MetTarget
	case next.Before(r.Before.Add(reach)):
		return MetSuccessor
	default:
		return PerhapsSuccessor
	}
}
