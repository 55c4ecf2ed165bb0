package remediation_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// settle shows the looks to the condition, one after the other, until it holds.
func settle(r session.Signalled, looks []session.Observation) (met remediation.Effect, used int) {
	ended := remediation.Settling(r)
	for _, now := range looks {
		used++
		if ended(now) {
			return remediation.Settle(r, now), used
		}
	}
	return remediation.Unsettled, used
}

// A backend that has cleared QueryCancelPending and does not show its next
// statement yet looks idle, and the cancel ends that statement. Seen on a real
// server, once in some thousand trials.
func TestACancelBetweenTwoStatementsIsFollowedUntilItSettles(t *testing.T) {
	idle := func(wait string, change time.Duration) session.Observation {
		s := inState(session.StateIdle)
		s.QueryStart, s.StateChange, s.WaitEventType = queryStart, sent.Add(change), wait
		return observed(s)
	}
	next := inState(session.StateActive)
	next.QueryStart = sent.Add(50 * micro)
	late := next
	late.QueryStart, late.State, late.WaitEventType = sent.Add(time.Second), session.StateIdle, "Client"
	fastpath := inState(session.StateFastpath) // it shows the query_start of the statement before
	fastpath.QueryStart, fastpath.StateChange = queryStart, sent.Add(50*micro)
	before, after := -micro, 100*micro
	client := "Client"

	for name, tc := range map[string]struct {
		first session.Observation
		looks []session.Observation
		want  remediation.Effect
		used  int
	}{
		"it was busy, then waited, and still does":         {idle("", before), []session.Observation{idle("", before), idle(client, before), idle(client, before)}, remediation.MetTarget, 3},
		"the cancel had ended it, and nothing came":        {idle("", after), []session.Observation{idle(client, after), idle(client, after)}, remediation.MetTarget, 2},
		"it goes on looking while it is busy":              {idle("", before), []session.Observation{idle("", before), idle("", before)}, remediation.Unsettled, 2},
		"the next statement, ended before the signal":      {idle("", before), []session.Observation{observed(next)}, remediation.MetSuccessor, 1},
		"a later one, ended before the signal":             {idle("", before), []session.Observation{idle("", before), observed(late)}, remediation.MetSuccessor, 2},
		"the next one, though it had waited in between":    {idle("", before), []session.Observation{idle(client, before), observed(next)}, remediation.MetSuccessor, 2},
		"the next statement, ended since the signal":       {idle("", after), []session.Observation{observed(next)}, remediation.PerhapsSuccessor, 1},
		"a fastpath call":                                  {idle("", before), []session.Observation{observed(fastpath)}, remediation.MetSuccessor, 1},
		"another one of the same microsecond, ended again": {idle("", before), []session.Observation{idle(client, after)}, remediation.MetSuccessor, 1},
		"the session is gone":                              {idle("", before), []session.Observation{{}}, remediation.MetSuccessor, 1},
		"the session is gone, ended since the signal":      {idle("", after), []session.Observation{{}}, remediation.PerhapsSuccessor, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := answer(session.VerdictSignalled, tc.first)
			f := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
			if met := remediation.Met(f, session.Cancel, r); met != remediation.Unsettled {
				t.Fatalf("the first look: met %d", met)
			}
			if met, used := settle(r, tc.looks); met != tc.want || used != tc.used {
				t.Errorf("met %d after %d looks; want %d after %d", met, used, tc.want, tc.used)
			}
		})
	}
}

// The server has looked at the wait first, and nothing had begun since.
func TestACancelOfASessionThatWaitsForItsClientIsSettled(t *testing.T) {
	idle := inState(session.StateIdle)
	idle.QueryStart, idle.StateChange, idle.WaitEventType = queryStart, sent.Add(-micro), "Client"
	f := session.Fence{PID: 42, BackendStart: backendStart, QueryStart: queryStart}
	if met := remediation.Met(f, session.Cancel, answer(session.VerdictSignalled, observed(idle))); met != remediation.MetTarget {
		t.Errorf("met %d", met)
	}
}
