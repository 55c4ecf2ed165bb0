package session_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestAFenceStandsForAnObservationThatIsPresent(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
	later := stateChange.Add(time.Minute)
	at := func(state session.State, query, change time.Time) session.Observation {
		a := session.Activity{State: state, QueryStart: query, StateChange: change}
		return session.Observation{Present: true, ID: inState(state).ID, Activity: a}
	}
	other := at(session.StateActive, queryStart, stateChange)
	other.BackendStart = later
	for name, after := range map[string]session.Observation{
		"still active":                      at(session.StateActive, queryStart, stateChange),
		"no session any more":               {},
		"idle":                              at(session.StateIdle, queryStart, later),
		"idle in transaction":               at(session.StateIdleInXact, queryStart, later),
		"aborted":                           at(session.StateIdleAborted, queryStart, later),
		"the next query":                    at(session.StateActive, later, later),
		"a fastpath call":                   at(session.StateFastpath, queryStart, later),
		"another session on the reused pid": other,
	} {
		if got, want := f.Stands(after), name == "still active"; got != want {
			t.Errorf("%s: Stands = %t", name, got)
		}
	}
	absent := at(session.StateActive, queryStart, stateChange)
	absent.Present = false
	if f.Stands(absent) {
		t.Error("stands for a session that is not there")
	}
}
