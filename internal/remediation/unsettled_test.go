package remediation_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A cancel that found the session between two statements is reported by what the
// session did next. It is no success if something else may have been met.
func TestACancelBetweenTwoStatements(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		goesOn  bool
		ended   time.Duration // after the clock before the signal; 0: when it really did
		outcome ledger.Outcome
		doubt   bool
	}{
		"it had ended, and another has begun":       {true, -time.Microsecond, ledger.Superseded, true},
		"it ended meanwhile, and another has begun": {true, time.Microsecond, ledger.Cancelled, true},
		"nothing else has begun":                    {false, 0, ledger.Cancelled, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			h := &hooks{}
			// The signalling statement has looked again while the session was between
			// two statements. No test can aim at that instant.
			h.afterSignal = func(_ int, answer *session.Signalled) {
				_ = c.Wait(t)
				srv.WaitFor(t, "select state = 'idle' from pg_stat_activity where pid = $1", c.PID())
				now, _, err := h.Server.Find(t.Context(), int32(c.PID()))
				if err != nil {
					t.Error(err)
				}
				if tc.ended != 0 {
					now.StateChange = answer.Before.Add(tc.ended)
				}
				now.WaitEventType = ""
				answer.After = session.Observation{ID: now.ID, Present: true, Activity: now.Activity}
				if tc.goesOn {
					c.Start(t, "select pg_sleep(60)")
				}
			}
			b := newTestRemediator(t, srv, "monsig", hooked(h))
			check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.Cancel, tc.outcome, policy.ReasonSeverity)
			if detail := b.ledger.Recent(1)[0].Detail; (detail != "") != tc.doubt {
				t.Errorf("detail: %q", detail)
			}
			if tc.goesOn && !c.Running() {
				t.Error("the successor was hit")
			}
		})
	}
}
