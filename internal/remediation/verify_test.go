package remediation_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The query ended by itself just before the cancel, and its client has sent
// nothing since. The cancel met nothing, so the outcome is gone, not cancelled.
func TestACancelThatMetNothing(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		ended   time.Duration // after the clock before the signal
		outcome ledger.Outcome
	}{
		"ended before":    {-time.Microsecond, ledger.Gone},
		"ended meanwhile": {time.Microsecond, ledger.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
				afterSignal: func(_ int, answer *session.Signalled) {
					answer.After.Present = true
					after := &answer.After
					after.BackendStart = c.Activity(t).BackendStart
					after.State, after.QueryStart, after.WaitEventType = session.StateIdle, answer.QueryStart, "Client"
					after.StateChange = answer.Before.Add(tc.ended)
				},
			}))
			results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"))
			check(t, results[0], policy.Cancel, tc.outcome, policy.ReasonSeverity)
			checkLines(t, lines, "intent cancel", string(tc.outcome)+"+")
			if detail := lines[1].Detail; (detail != "") != (tc.outcome == ledger.Gone) {
				t.Errorf("detail: %q", detail)
			}
		})
	}
}

// A suspension shows in the metric as soon as the request that brought it is
// answered.
func TestASuspensionShowsAtOnce(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) { s.Config.Limits.SuspendAfter = 1 })
	for _, want := range []string{"cancelled+", "refused suspended"} {
		_, lines := b.recorded(t, time.Now(), identity(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start"))
		outcomes := lines[:0]
		for _, line := range lines {
			if line.Event == ledger.EventOutcome {
				line.ID = ""
				outcomes = append(outcomes, line)
			}
		}
		checkLines(t, outcomes, want)
		if metricstest.Value(t, b.registry, suspended) != 1 {
			t.Errorf("%s: not shown", want)
		}
	}
}
