package remediation_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/remediation"
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

func observed(s session.Session) session.Observation {
	return session.Observation{Present: true, ID: s.ID, Activity: s.Activity}
}

// The signal is sent one minute after what was seen.
var sent = stateChange.Add(time.Minute)

func answer(v session.Verdict, after session.Observation) session.Signalled {
	return session.Signalled{Verdict: v, QueryStart: queryStart, Before: sent, At: sent.Add(micro), After: after}
}

// aftermath is what a session can be right after a signal for the query that began
// at queryStart.
func aftermath() map[string]session.Observation {
	at := func(state session.State, query, change time.Time) session.Observation {
		s := inState(state)
		s.QueryStart, s.StateChange = query, change
		return observed(s)
	}
	return map[string]session.Observation{
		"still active":                     at(session.StateActive, queryStart, stateChange),
		"no session any more":              {},
		"idle since before the signal":     at(session.StateIdle, queryStart, sent.Add(-micro)),
		"idle since the signal":            at(session.StateIdle, queryStart, sent),
		"idle since after the signal":      at(session.StateIdle, queryStart, sent.Add(micro)),
		"idle in transaction since before": at(session.StateIdleInXact, queryStart, sent.Add(-micro)),
		"aborted since after the signal":   at(session.StateIdleAborted, queryStart, sent.Add(micro)),
		"the next query":                   at(session.StateActive, sent.Add(-micro), sent.Add(-micro)),
		"the next query, ended again":      at(session.StateIdle, sent.Add(-2*micro), sent.Add(-micro)),
		"the next query, a little later":   at(session.StateActive, sent.Add(200*micro), sent.Add(200*micro)),
		"a fastpath call since before":     at(session.StateFastpath, queryStart, sent.Add(-micro)),
		"a fastpath call since the signal": at(session.StateFastpath, queryStart, sent.Add(micro)),
		"another session on the reused pid": observed(session.Session{
			ID: session.ID{PID: 42, BackendStart: sent}, Activity: session.Activity{State: session.StateActive, QueryStart: sent},
		}),
	}
}

func TestASuccessorThatMayHaveBeenMetIsNeverASuccess(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
	metByCancel := map[string]remediation.Effect{
		"still active":                      remediation.MetTarget,
		"no session any more":               remediation.MetTarget,
		"idle since before the signal":      remediation.Unsettled,
		"idle since the signal":             remediation.Unsettled,
		"idle since after the signal":       remediation.Unsettled,
		"idle in transaction since before":  remediation.Unsettled,
		"aborted since after the signal":    remediation.Unsettled,
		"the next query":                    remediation.MetSuccessor,
		"the next query, ended again":       remediation.MetSuccessor,
		"the next query, a little later":    remediation.PerhapsSuccessor,
		"a fastpath call since before":      remediation.MetSuccessor, // its query_start is the named query's
		"a fastpath call since the signal":  remediation.MetSuccessor,
		"another session on the reused pid": remediation.MetSuccessor,
	}
	for name, after := range aftermath() {
		t.Run(name, func(t *testing.T) {
			r := answer(session.VerdictSignalled, after)
			if got := remediation.Met(f, session.Cancel, r); got != metByCancel[name] {
				t.Errorf("cancel: met %d", got)
			}
			// A terminate meets whatever the session does: present, but doing
			// something else, so the signal ended other work.
			want := remediation.MetTarget
			if after.Present && name != "still active" {
				want = remediation.MetSuccessor
			}
			if got := remediation.Met(f, session.Terminate, r); got != want {
				t.Errorf("terminate: met %d", got)
			}
			for _, v := range []session.Verdict{"", session.VerdictGone, session.VerdictMoved, session.VerdictNotVisible, session.VerdictProtected, session.VerdictSyncRep} {
				if remediation.Met(f, session.Cancel, answer(v, after)) != remediation.MetTarget || remediation.Met(f, session.Terminate, answer(v, after)) != remediation.MetTarget {
					t.Errorf("verdict %q: nothing was signalled, and it met a successor", v)
				}
			}
		})
	}
}

func TestACancelOfATransactionMeetsNoSuccessorWithinIt(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, XactStart: xactStart}
	next := inState(session.StateActive)
	next.QueryStart = sent
	if remediation.Met(f, session.Cancel, answer(session.VerdictSignalled, observed(next))) != remediation.MetTarget {
		t.Error("the transaction goes on, and its next statement is a successor")
	}
	next.XactStart = sent
	if remediation.Met(f, session.Cancel, answer(session.VerdictSignalled, observed(next))) != remediation.MetSuccessor {
		t.Error("the next transaction is no successor")
	}
}

func TestACancelThatCameTooLateMetNothing(t *testing.T) {
	endedBefore := map[string]bool{
		"idle since before the signal":     true,
		"idle in transaction since before": true,
	}
	for name, after := range aftermath() {
		t.Run(name, func(t *testing.T) {
			if got := remediation.EndedBefore(answer(session.VerdictSignalled, after)); got != endedBefore[name] {
				t.Errorf("EndedBefore = %t", got)
			}
			if remediation.EndedBefore(answer(session.VerdictGone, after)) {
				t.Error("nothing was signalled, and it ended before the signal")
			}
		})
	}
}

// A backend that aborts or exits resets xact_start before it shows anything else.
// Seen on a real server, once in some hundred signals.
func TestABackendThatIsEndingIsNoSuccessor(t *testing.T) {
	query := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart, XactStart: xactStart}
	transaction := session.Fence{PID: 42, BackendStart: backendStart, XactStart: xactStart}
	idling := session.Fence{PID: 42, BackendStart: backendStart, XactStart: xactStart, StateChange: stateChange}
	for name, tc := range map[string]struct {
		fence  session.Fence
		state  session.State
		change time.Time
		target bool
	}{
		"a query":                              {query, session.StateActive, stateChange, true},
		"a transaction in a query":             {transaction, session.StateActive, stateChange, true},
		"an idle transaction":                  {idling, session.StateIdleInXact, stateChange, true},
		"a transaction that idles":             {transaction, session.StateIdleInXact, stateChange, true},
		"an aborted transaction":               {idling, session.StateIdleAborted, stateChange, true},
		"a query that ended in a transaction":  {query, session.StateIdleInXact, sent, false},
		"a query that ended":                   {query, session.StateIdle, sent, false},
		"a transaction that ended":             {transaction, session.StateIdle, sent, false},
		"an idle transaction that idles again": {idling, session.StateIdleInXact, sent, false},
		"a fastpath call":                      {query, session.StateFastpath, sent, false},
		"a fastpath call after a transaction":  {transaction, session.StateFastpath, sent, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := inState(tc.state)
			after.XactStart, after.StateChange = time.Time{}, tc.change
			if met := remediation.Met(tc.fence, session.Terminate, answer(session.VerdictSignalled, observed(after))); (met == remediation.MetTarget) != tc.target {
				t.Errorf("met %d", met)
			}
			after.QueryStart = sent
			if met := remediation.Met(tc.fence, session.Terminate, answer(session.VerdictSignalled, observed(after))); met == remediation.MetTarget && tc.fence != idling {
				t.Error("another statement is no successor")
			}
		})
	}
}

// A transaction that went on to another statement before the signal: that
// statement is what the alert names too, and ending it is a success.
func TestACancelOfATransactionMayMeetALaterStatementOfIt(t *testing.T) {
	f := session.Fence{PID: 42, BackendStart: backendStart, XactStart: xactStart}
	later := queryStart.Add(time.Second)
	aborted := inState(session.StateIdleAborted)
	aborted.QueryStart, aborted.XactStart, aborted.StateChange = later, time.Time{}, sent.Add(micro)
	r := answer(session.VerdictSignalled, observed(aborted))
	r.QueryStart = later
	if got := remediation.Met(f, session.Cancel, r); got != remediation.Unsettled {
		t.Errorf("met %d", got)
	}
	if got := remediation.Settle(r, r.After); got != remediation.MetTarget {
		t.Errorf("the transaction is still aborted, and it met %d", got)
	}
}
