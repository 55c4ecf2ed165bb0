package remediation_test

// In this file: what a terminate of a session that is idle outside a transaction
// has met. Only a person orders one.

import (
	"context"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// idleSince is a session that is idle since then, after the statement that began at
// queryStart.
func idleSince(change time.Time) session.Observation {
	s := inState(session.StateIdle)
	s.XactStart, s.StateChange = time.Time{}, change
	return observed(s)
}

// taken is the session right after it has taken up another statement.
func taken(state session.State, query time.Time) session.Observation {
	s := inState(state)
	s.XactStart, s.QueryStart, s.StateChange = time.Time{}, query, sent
	return observed(s)
}

func TestATerminateOfAnIdleSessionIsNoSuccessIfItHasBegunAStatement(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, StateChange: stateChange, AlsoIdle: true}
	another := idleSince(stateChange)
	another.BackendStart = sent
	for name, tc := range map[string]struct {
		after session.Observation
		met   remediation.Effect
		begun bool // in a later look
	}{
		"still idle":                    {idleSince(stateChange), remediation.MetTarget, false},
		"no session any more":           {session.Observation{}, remediation.MetTarget, false},
		"a statement":                   {taken(session.StateActive, sent.Add(-micro)), remediation.MetSuccessor, true},
		"a statement since the signal":  {taken(session.StateActive, sent.Add(micro)), remediation.MetSuccessor, true},
		"a statement, and idle again":   {idleSince(sent.Add(-micro)), remediation.MetSuccessor, false},
		"a statement of a transaction":  {taken(session.StateIdleInXact, sent.Add(-micro)), remediation.MetSuccessor, false},
		"a fastpath call":               {taken(session.StateFastpath, queryStart), remediation.MetSuccessor, true},
		"another session with this pid": {another, remediation.MetSuccessor, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := answer(session.VerdictSignalled, tc.after)
			if got := remediation.Met(f, session.Terminate, r); got != tc.met {
				t.Errorf("met %d, want %d", got, tc.met)
			}
			r = answer(session.VerdictSignalled, idleSince(stateChange))
			if got := remediation.Begun(f, r, tc.after); got != tc.begun {
				t.Errorf("Begun = %t", got)
			}
		})
	}
}

// A terminate of a statement meets no other one if that is still its transaction's,
// where only the transaction is named, and if the statement ends by itself.
func TestATerminatedSessionBeginsNothing(t *testing.T) {
	query := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
	transaction := session.Fence{PID: 42, BackendStart: backendStart, XactStart: xactStart}
	active := observed(inState(session.StateActive))
	r := answer(session.VerdictSignalled, active)
	for name, tc := range map[string]struct {
		fence session.Fence
		now   session.Observation
		want  bool
	}{
		"the statement runs on":           {query, active, false},
		"the statement has ended":         {query, idleSince(sent), false},
		"another statement":               {query, taken(session.StateActive, sent), true},
		"another one of the transaction":  {transaction, taken(session.StateActive, sent), false},
		"an exit that has reset its xact": {transaction, taken(session.StateActive, queryStart), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := remediation.Begun(tc.fence, r, tc.now); got != tc.want {
				t.Errorf("Begun = %t", got)
			}
		})
	}
}

// alsoSees shows a watch one more look, before those that the server gives.
type alsoSees struct {
	remediation.Server
	activity session.Activity
}

func (s alsoSees) Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	ended(session.Observation{ID: id, Present: true, Activity: s.activity})
	return s.Server.Watch(ctx, id, ended)
}

// A backend that is descheduled between taking up a statement and showing it looks
// idle when it is signalled, and shows the statement later.
func TestAStatementThatShowsLateIsSuperseded(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		later session.Activity
		want  ledger.Outcome
	}{
		"another statement": {session.Activity{State: session.StateActive, QueryStart: sent}, ledger.Superseded},
		"still idle":        {session.Activity{State: session.StateIdle}, ledger.Terminated},
	} {
		t.Run(name, func(t *testing.T) {
			c := idle(t, srv)
			f := seen(t, c)
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
				afterSignal: func(_ int, answer *session.Signalled) { // the session has not reacted yet
					answer.After = session.Observation{
						ID: session.ID{Server: "orders", PID: f.PID, BackendStart: f.BackendStart}, Present: true,
						Activity: session.Activity{State: session.StateIdle, QueryStart: answer.QueryStart, StateChange: f.StateChange},
					}
				},
			}), func(s *remediation.Settings) { s.Servers["orders"] = alsoSees{s.Servers["orders"], tc.later} })
			got, lines := b.ordered(t, policy.Order{Action: policy.Terminate}, f)
			check(t, got, policy.Terminate, tc.want, policy.ReasonManual)
			checkLines(t, lines, "intent terminate", string(tc.want)+"+")
		})
	}
}
