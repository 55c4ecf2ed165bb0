package policy_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A cancel that would have no effect is never sent: it is refused, or left out
// where the action goes on to terminate.
func TestFirstSignalWorksInTheState(t *testing.T) {
	type verbs struct{ first, then session.Verb }
	cancelWorks := map[policy.Action]verbs{
		policy.Cancel:              {first: session.Cancel},
		policy.Terminate:           {first: session.Terminate},
		policy.CancelThenTerminate: {first: session.Cancel, then: session.Terminate},
	}
	cancelDoesNot := map[policy.Action]verbs{
		policy.Cancel:              {},
		policy.Terminate:           {first: session.Terminate},
		policy.CancelThenTerminate: {first: session.Terminate},
	}
	for name, tt := range map[string]struct {
		session session.Found
		want    map[policy.Action]verbs
	}{
		"running":                       {client(), cancelWorks},
		"waiting for a lock":            {client(waiting("Lock", "transactionid")), cancelWorks},
		"waiting for the disk":          {client(waiting("IO", "DataFileRead")), cancelWorks},
		"asleep":                        {client(waiting("Timeout", "PgSleep")), cancelWorks},
		"in a fastpath call":            {client(state(session.StateFastpath), query("")), cancelWorks},
		"an extension waits ClientRead": {client(waiting("Extension", "ClientRead")), cancelWorks},
		"its client does not read":      {client(waiting("Client", "ClientWrite")), cancelDoesNot},
		"COPY waits for its client":     {client(waiting("Client", "ClientRead"), query("COPY t FROM STDIN")), cancelDoesNot},
		"idle in transaction":           {client(state(session.StateIdleInXact), waiting("Client", "ClientRead")), cancelDoesNot},
		"idle in transaction, no wait":  {client(state(session.StateIdleInXact)), cancelDoesNot},
		"idle in transaction (aborted)": {client(state(session.StateIdleAborted)), cancelDoesNot},
		"idle":                          {client(state(session.StateIdle)), cancelDoesNot},
		"starting":                      {client(state(session.StateStarting)), cancelDoesNot},
		"an unknown state":              {client(state("hibernating")), cancelDoesNot},
	} {
		for action, want := range tt.want {
			t.Run(name+", "+string(action), func(t *testing.T) {
				got := compile(t, rule(action, `usename="app"`)).Decide(nil, policy.NewSubject(tt.session))
				if (verbs{got.First, got.Then}) != want {
					t.Errorf("first %q, then %q; want %+v", got.First, got.Then, want)
				}
				if refused := want.first == ""; refused != got.Refused() || refused != (got.Reason == policy.ReasonCannotCancel) {
					t.Errorf("Refused = %t, reason %s", got.Refused(), got.Reason)
				}
				if got.Action != action {
					t.Errorf("the action on record is %s", got.Action)
				}
			})
		}
	}
}
