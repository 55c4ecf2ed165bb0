package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What a person sees of a session, by its state, names it and nothing that it does
// later.
func TestFenceOfNamesWhatTheSessionDoesNow(t *testing.T) {
	start := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	xact, query, change := start.Add(time.Minute), start.Add(2*time.Minute), start.Add(3*time.Minute)
	for _, tc := range []struct {
		state session.State
		xact  time.Time
		want  session.Fence // beside the session itself
	}{
		{session.StateActive, xact, session.Fence{QueryStart: query}},
		{session.StateIdle, time.Time{}, session.Fence{StateChange: change}},
		{session.StateIdleInXact, xact, session.Fence{StateChange: change}},
		{session.StateIdleAborted, xact, session.Fence{StateChange: change}},
		{session.StateFastpath, xact, session.Fence{XactStart: xact}}, // its query_start is an older statement's
		{session.StateDisabled, xact, session.Fence{XactStart: xact}},
		{session.StateStarting, time.Time{}, session.Fence{}},
		{"", time.Time{}, session.Fence{}},
	} {
		t.Run(string(tc.state), func(t *testing.T) {
			s := session.Session{
				ID:       session.ID{Server: "orders", PID: 42, BackendStart: start},
				Activity: session.Activity{State: tc.state, QueryStart: query, XactStart: tc.xact, StateChange: change},
			}
			got := session.FenceOf(s)
			named := !tc.want.QueryStart.IsZero() || !tc.want.StateChange.IsZero() || !tc.want.XactStart.IsZero()
			tc.want.Server, tc.want.PID, tc.want.BackendStart, tc.want.AlsoIdle = "orders", 42, start, true
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Fatalf("FenceOf (-want +got):\n%s", diff)
			}
			if got.Complete() != named || !got.Holds(s.ID, s.Activity) {
				t.Errorf("complete %t, holds %t", got.Complete(), got.Holds(s.ID, s.Activity))
			}
		})
	}
}

// AlsoIdle adds plain idleness to what state_change may name, and nothing else.
func TestOnlyAPersonsFenceHoldsForAnIdleSession(t *testing.T) {
	start := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	change := start.Add(time.Minute)
	id := session.ID{Server: "orders", PID: 42, BackendStart: start}
	for _, state := range append(session.States(), "") {
		f := session.Fence{PID: 42, BackendStart: start, StateChange: change}
		now := session.Activity{State: state, QueryStart: start, StateChange: change}
		if got, want := f.Holds(id, now), state.IdleInTransaction(); got != want {
			t.Errorf("%q: an alert's fence holds: %t", state, got)
		}
		f.AlsoIdle = true
		if got, want := f.Holds(id, now), state.IdleInTransaction() || state == session.StateIdle; got != want {
			t.Errorf("%q: a person's fence holds: %t", state, got)
		}
		now.StateChange = change.Add(time.Microsecond)
		if f.Holds(id, now) {
			t.Errorf("%q: a person's fence holds for a later change", state)
		}
		// Without an identity AlsoIdle does not help.
		byTime := session.Fence{PID: 42, Before: change.Add(time.Hour), AlsoIdle: true}
		if state == session.StateIdle && byTime.Holds(id, now) {
			t.Error("a fence by time holds for an idle session")
		}
	}
}
