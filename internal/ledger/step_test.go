package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What a step is about does not depend on the name of the server, nor on the period
// that the alert named.
func TestTheStepOfAnIntent(t *testing.T) {
	query, change := noon.Add(time.Second), noon.Add(2*time.Second)
	line := func(system string, state session.State) ledger.Entry {
		return ledger.Entry{
			Server: "orders", SystemIdentifier: system, Action: policy.Cancel, Facts: ledger.Facts{State: state},
			Target: ledger.Target{
				PID: 42, BackendStart: ledger.Time{Time: noon},
				QueryStart: ledger.Time{Time: query}, XactStart: ledger.Time{Time: noon}, StateChange: ledger.Time{Time: change},
			},
		}
	}
	for name, tc := range map[string]struct {
		line   ledger.Entry
		system string
		doing  time.Time
	}{
		"a statement":           {line("7", session.StateActive), "7", query},
		"idle in a transaction": {line("7", session.StateIdleInXact), "7", change},
		"idle":                  {line("7", session.StateIdle), "7", change},
		"an unknown system":     {line("", session.StateActive), "name:orders", query},
	} {
		want := ledger.Step{System: tc.system, PID: 42, BackendStart: noon, Doing: tc.doing, Verb: policy.Cancel}
		if diff := cmp.Diff(want, tc.line.Step()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
