package ledger

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Step is what an intent is about, whatever label the request named it by: one
// verb for one statement or one idleness of one backend. Replicas that share a
// ledger carry out each step once.
type Step struct {
	// System is the server's system identifier or, where that is not known, its
	// configured name with "name:" before it. It is never empty.
	System       string
	PID          int32
	BackendStart time.Time
	// Doing is when the statement began that runs, or else when the session became
	// idle.
	Doing time.Time
	Verb  policy.Action // cancel or terminate
}

// Step is the step of an intent about a session that was found.
func (e Entry) Step() Step {
	s := Step{
		System: e.SystemIdentifier, PID: e.PID, BackendStart: e.BackendStart.Time,
		Doing: e.StateChange.Time, Verb: e.Action,
	}
	if s.System == "" {
		s.System = "name:" + e.Server
	}
	if e.State == session.StateActive {
		s.Doing = e.QueryStart.Time
	}
	return s
}
