package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The times of one session. A time that differs by a microsecond is that of another
// session.
var (
	backendStart = time.Date(2026, 11, 22, 11, 0, 0, 123456000, time.UTC)
	xactStart    = backendStart.Add(1 * time.Minute)
	queryStart   = backendStart.Add(2 * time.Minute)
	stateChange  = backendStart.Add(3 * time.Minute)
)

const micro = time.Microsecond

func inState(state session.State) session.Session {
	return session.Session{
		ID: session.ID{Server: "orders", PID: 42, BackendStart: backendStart}, BackendType: session.BackendTypeClient,
		Activity: session.Activity{State: state, QueryStart: queryStart, XactStart: xactStart, StateChange: stateChange},
	}
}

func active(s session.State) bool   { return s == session.StateActive }
func idleInTx(s session.State) bool { return s.IdleInTransaction() }
func anyState(session.State) bool   { return true }

func TestAFenceHoldsForItsPeriodInItsStatesOnly(t *testing.T) {
	states := append(session.States(), "", "something new")
	for label, tt := range map[string]struct {
		set func(*session.Fence, time.Time)
		at  time.Time
		in  func(session.State) bool
	}{
		"query_start":  {func(f *session.Fence, at time.Time) { f.QueryStart = at }, queryStart, active},
		"state_change": {func(f *session.Fence, at time.Time) { f.StateChange = at }, stateChange, idleInTx},
		"xact_start":   {func(f *session.Fence, at time.Time) { f.XactStart = at }, xactStart, anyState},
	} {
		for _, state := range states {
			t.Run(label+" while "+string(state), func(t *testing.T) {
				s := inState(state)
				f := session.Fence{PID: 42, BackendStart: backendStart}
				tt.set(&f, tt.at)
				if got := f.Holds(s.ID, s.Activity); got != tt.in(state) {
					t.Errorf("the same period: Holds = %t", got)
				}
				for _, off := range []time.Duration{-micro, micro, -time.Second, time.Hour} {
					other := f
					tt.set(&other, tt.at.Add(off))
					if other.Holds(s.ID, s.Activity) {
						t.Errorf("another period (%s off): Holds", off)
					}
				}
				none := s
				none.QueryStart, none.XactStart, none.StateChange = time.Time{}, time.Time{}, time.Time{}
				if f.Holds(none.ID, none.Activity) {
					t.Error("a period that the session does not have: Holds")
				}
			})
		}
	}
}

func TestAFenceHoldsForItsSessionOnly(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
	for name, change := range map[string]func(*session.Session){
		"another pid":          func(s *session.Session) { s.PID = 43 },
		"the pid reused":       func(s *session.Session) { s.BackendStart = backendStart.Add(micro) },
		"a start that we lack": func(s *session.Session) { s.BackendStart = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := inState(session.StateActive)
			if !f.Holds(s.ID, s.Activity) {
				t.Fatal("does not hold for the session itself")
			}
			change(&s)
			if f.Holds(s.ID, s.Activity) {
				t.Error("Holds")
			}
		})
	}
}

func TestTwoPeriodsMustBothHold(t *testing.T) {
	both := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart, XactStart: xactStart}
	s := inState(session.StateActive)
	if !both.Holds(s.ID, s.Activity) {
		t.Error("both are the session's, and it does not hold")
	}
	next := s
	next.QueryStart = queryStart.Add(micro)
	if both.Holds(next.ID, next.Activity) {
		t.Error("holds for the next query of the transaction")
	}
	later := s
	later.XactStart = xactStart.Add(micro)
	if both.Holds(later.ID, later.Activity) {
		t.Error("holds for another transaction")
	}
	never := both
	never.StateChange = stateChange
	for _, state := range session.States() {
		if never.Holds(inState(state).ID, inState(state).Activity) {
			t.Errorf("active and idle in a transaction at the same time: holds while %s", state)
		}
	}
}

// Without a whole identity the alert's own time must tell: what the session
// does now must have begun before it.
func TestAFenceByTimeHoldsForWhatBeganBefore(t *testing.T) {
	for _, tt := range []struct {
		state session.State
		began time.Time // zero: nothing in this state began that an alert could mean
	}{
		{session.StateActive, queryStart},
		{session.StateIdleInXact, stateChange},
		{session.StateIdleAborted, stateChange},
		{session.StateIdle, time.Time{}},
		{session.StateFastpath, time.Time{}},
		{session.StateDisabled, time.Time{}},
		{session.StateStarting, time.Time{}},
		{"", time.Time{}},
	} {
		t.Run(string(tt.state), func(t *testing.T) {
			s := inState(tt.state)
			for off, want := range map[time.Duration]bool{-time.Hour: false, 0: false, micro: true, time.Hour: true} {
				before := tt.began.Add(off)
				if tt.began.IsZero() {
					before, want = stateChange.Add(time.Hour), false
				}
				if got := (session.Fence{PID: 42, Before: before}).Holds(s.ID, s.Activity); got != want {
					t.Errorf("alert %s after the beginning: Holds = %t", off, got)
				}
				// What the alert has of an identity must hold in any case.
				if (session.Fence{PID: 42, Before: before, BackendStart: backendStart.Add(micro)}).Holds(s.ID, s.Activity) {
					t.Errorf("alert %s after the beginning: holds for another session", off)
				}
			}
			s.QueryStart, s.StateChange = time.Time{}, time.Time{}
			if (session.Fence{PID: 42, Before: stateChange.Add(time.Hour)}).Holds(s.ID, s.Activity) {
				t.Error("holds where the beginning is unknown")
			}
		})
	}
}

func TestADecisionAboutAStatementNarrowsTheFenceToIt(t *testing.T) {
	loose := session.Fence{Server: "orders", PID: 42, XactStart: xactStart, Before: stateChange.Add(time.Hour)}
	for _, state := range session.States() {
		t.Run(string(state), func(t *testing.T) {
			want := loose
			want.BackendStart = backendStart
			switch {
			case active(state):
				want.QueryStart = queryStart
			case idleInTx(state):
				want.StateChange = stateChange
			}
			seen := inState(state)
			got := loose.Narrow(seen, session.ScopeStatement)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pinned (-want +got):\n%s", diff)
			}
			if loose.Holds(seen.ID, seen.Activity) && !got.Holds(seen.ID, seen.Activity) {
				t.Error("the pinned fence does not hold for what it was pinned to")
			}
			next := seen
			next.QueryStart, next.StateChange = queryStart.Add(10*time.Minute), stateChange.Add(10*time.Minute)
			if slices.Contains([]session.State{session.StateActive, session.StateIdleInXact, session.StateIdleAborted}, state) && got.Holds(next.ID, next.Activity) {
				t.Error("the pinned fence holds for what came next")
			}
		})
	}
}
