package remediation

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Effect says what a signal met beside, or instead of, what the fence names.
type Effect int

// The effects.
const (
	// Unsettled: right after the signal the named activity had ended, nothing
	// else had begun, and the session did not wait for its client. PostgreSQL
	// drops a cancel that arrives between two statements, but the next statement
	// may already have been on its way. See Settling.
	Unsettled Effect = iota
	// MetTarget: the signal met what the fence names, or nothing.
	MetTarget
	// MetSuccessor: the named activity had ended by itself before the signal, and
	// the session had begun another statement.
	MetSuccessor
	// PerhapsSuccessor: another statement had begun by the look after the signal,
	// later than the clock before the signal and earlier than the clock after it.
	// Nearly always the cancel met its target, the client has gone on, and the
	// backend that sent the signal was descheduled meanwhile; the clocks cannot
	// tell.
	PerhapsSuccessor
)

// cancelReach is how long after the clock before the signal a statement may
// begin and still count as met. On two busy cores up to 130 µs lay between that
// clock and the interrupt of the signalled backend, and at least 180 µs between
// that clock and the next statement of a client that goes on as soon as it is
// told of the cancel.
const cancelReach = 150 * time.Microsecond

// Met tells from the server's own timestamps what the signal met. It uses the
// look that the signalling statement took right after the signal.
//
// PostgreSQL handles a signal inside whatever the backend is doing when it
// arrives. If the named activity is still there after the signal, the signal
// met it. A cancel that arrives between two statements is dropped. A terminate
// ends the session in the activity that it met, so any other activity that is
// seen afterwards was met.
func Met(f session.Fence, verb session.Verb, r session.Signalled) Effect {
	next := r.After.QueryStart
	switch {
	case r.Verdict != session.VerdictSignalled || !r.After.Present || endingFence(f, verb, r).Stands(r.After):
		return MetTarget
	case verb == session.Terminate:
		return MetSuccessor
	case r.After.State == session.StateFastpath: // shows the query_start of the statement before
		return MetSuccessor
	case next.Equal(r.QueryStart) && !waitsForClient(r.After):
		return Unsettled
	case next.Equal(r.QueryStart):
		return MetTarget
	case next.Before(r.Before.Add(cancelReach)):
		return MetSuccessor
	default:
		return PerhapsSuccessor
	}
}

// endingFence is the fence for the look right after the signal. A backend that
// aborts or exits resets its xact_start first, while it still shows the rest.
func endingFence(f session.Fence, verb session.Verb, r session.Signalled) session.Fence {
	after := r.After
	if after.XactStart.IsZero() && after.QueryStart.Equal(r.QueryStart) &&
		(after.State == session.StateActive || verb == session.Terminate && after.State.IdleInTransaction()) {
		f.XactStart = time.Time{}
	}
	return f
}

// EndedBefore reports whether the session's activity had certainly ended before
// the signal and nothing else has begun since, so that the signal met an idle
// session. A fastpath call is something else, though it keeps the query_start.
func EndedBefore(r session.Signalled) bool {
	after := r.After
	return r.Verdict == session.VerdictSignalled && after.Present &&
		after.State != session.StateActive && after.State != session.StateFastpath &&
		after.QueryStart.Equal(r.QueryStart) &&
		after.StateChange.Before(r.Before)
}

// Begun reports whether a look after a terminate shows that the signal met another
// statement than the fence names: one that the session had begun already, but did
// not show yet. A backend takes up no statement once it knows of the signal. Where
// the fence names a transaction only, a statement of it is none other.
func Begun(f session.Fence, r session.Signalled, now session.Observation) bool {
	if !now.Present || f.QueryStart.IsZero() && f.StateChange.IsZero() {
		return false
	}
	return now.State == session.StateFastpath || now.State == session.StateActive && !now.QueryStart.Equal(r.QueryStart)
}

// A backend takes up the next statement in this order: it clears
// QueryCancelPending, and from here on a cancel counts; it reads the clock; it
// shows itself as active (PostgresMain and exec_simple_query of PostgreSQL
// 14–18). A backend that is descheduled between these steps still looks idle,
// and a cancel ends the statement that no look has shown yet.

// Settling returns the condition to watch for after an Unsettled cancel. It
// must see every look, in their order. It holds as soon as something else has
// begun. It also holds when the session is still between two statements in the
// look after one that saw it wait for its client: by then it has cleared
// QueryCancelPending.
func Settling(r session.Signalled) func(session.Observation) bool {
	waited := false
	return func(now session.Observation) bool {
		if !nothingBegun(r, now) || waited {
			return true
		}
		waited = waitsForClient(now)
		return false
	}
}

// Settle tells what an Unsettled cancel met, from the last look. If the session
// has gone on, or is gone, the cancel may have met something else.
func Settle(r session.Signalled, last session.Observation) Effect {
	switch {
	case nothingBegun(r, last):
		return MetTarget
	case EndedBefore(r):
		return MetSuccessor
	default:
		return PerhapsSuccessor
	}
}

// nothingBegun reports whether nothing has begun since the signalled statement.
func nothingBegun(r session.Signalled, now session.Observation) bool {
	return now.Present && now.State == r.After.State &&
		now.QueryStart.Equal(r.QueryStart) &&
		now.StateChange.Equal(r.After.StateChange)
}

func waitsForClient(seen session.Observation) bool { return seen.WaitEventType == "Client" }
