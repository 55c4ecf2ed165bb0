package remediation_test

// In this file: a server that does not answer, or answers no more.

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// barrier returns a function that blocks until it was called n times, and `then`
// has returned.
func barrier(n int, then func()) func() {
	arrived, released := make(chan struct{}, n), make(chan struct{})
	go func() {
		for range n {
			<-arrived
		}
		then()
		close(released)
	}()
	return func() {
		arrived <- struct{}{}
		<-released
	}
}

// The server dies between ten looks and ten signals. At most one signal may have
// been sent, and only that one stays spent.
func TestWhatWasNotSentIsNotSpent(t *testing.T) {
	const n = 10
	srv := pgtest.Start(t)
	all := barrier(n, func() { srv.Kill(t) })
	b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call <= n {
				all()
			}
			return nil
		},
	}), func(s *remediation.Settings) { s.Config.Limits.Actions = n })
	crowd(t, srv, n)
	results := b.remediate(t, time.Now(), crowdAlerts(t, srv, "warning")...)
	if got := outcomes(results); got[ledger.Failed] != n || !repeatHelps(results) {
		t.Errorf("ended %v", got)
	}
	b.spentAsSignalled(t, 1)
	srv.Restart(t)
	crowd(t, srv, n)
	results = b.remediate(t, time.Now(), crowdAlerts(t, srv, "warning")...)
	if got := outcomes(results)[ledger.Cancelled]; got < n-1 {
		t.Errorf("the repeat ended %v", outcomes(results))
	}
}

// repeatHelps reports whether a repeat of any of them can help.
func repeatHelps(results []remediation.Result) bool {
	return slices.ContainsFunc(results, func(r remediation.Result) bool { return r.Retry })
}

// spentAsSignalled checks that the budget and the ledger's lines agree on how many
// signals may have been sent, and that there are at most so many.
func (b *testRemediator) spentAsSignalled(t *testing.T, most int) {
	t.Helper()
	signalled := 0
	for _, line := range b.ledger.Recent(1000) {
		if line.Signalled {
			signalled++
		}
	}
	if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != signalled || spent > most {
		t.Errorf("%d signals are spent, the lines say %d; at most %d were sent", spent, signalled, most)
	}
}

// A signal that was certainly not sent costs no budget; one that may have been
// sent does. A repeat can send it in both cases.
func TestASignalThatMayNotHaveBeenSent(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		err       error
		signalled bool
	}{
		"not sent":  {fmt.Errorf("%w: %w", session.ErrUnreachable, session.ErrNotSent), false},
		"not known": {session.ErrUnreachable, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
				beforeSignal: func(call int, _ session.Verb) error {
					if call == 1 {
						return tc.err
					}
					return nil
				},
			}))
			alert := identity(t, c, "warning", "query_start")
			result := b.remediate(t, time.Now(), alert)[0]
			if !result.Retry {
				t.Error("a repeat cannot help")
			}
			check(t, result, policy.Cancel, ledger.Failed, policy.ReasonSeverity)
			lines := b.ledger.Recent(10)
			if len(lines) != 2 || lines[0].Signalled != tc.signalled || lines[0].Detail == "" {
				t.Errorf("the ledger says %+v", lines)
			}
			spent := 0
			if tc.signalled {
				spent = 1
			}
			b.spentAsSignalled(t, spent)
			check(t, b.alert(t, alert), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
		})
	}
}

// A server leaves the configuration while an alert about it is under way.
func TestAServerThatLeftHasNoSeries(t *testing.T) {
	srv := pgtest.Start(t)
	leave := func(b **testRemediator) {
		next := (*b).settings
		next.Servers = map[string]remediation.Server{}
		(*b).apply(next)
	}
	var b *testRemediator
	for name, s := range map[string]*hooks{
		"after the look":   {afterFind: func(int, *session.Found) { leave(&b) }},
		"after the signal": {afterSignal: func(int, *session.Signalled) { leave(&b) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			b = newTestRemediator(t, srv, "monsig", hooked(s))
			check(t, b.alert(t, identity(t, c, "critical", "query_start")), policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
			families, err := b.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				for _, m := range family.GetMetric() {
					for _, l := range m.GetLabel() {
						if l.GetName() == "server" && l.GetValue() != "" {
							t.Errorf("there is still %s of server %s", family.GetName(), l.GetValue())
						}
					}
				}
			}
			if got := metricstest.Value(t, b.registry, "pgbailiff_remediations_total{action=terminate,outcome=terminated,server=}"); got != 1 {
				t.Errorf("counted %v times", got)
			}
		})
	}
}

// An alert without the whole identity is fenced by time. Its startsAt and the
// server's query_start are from two clocks, which may differ.
func TestADatabaseClockThatLags(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		shift   time.Duration // of the database's clock, as it were
		outcome ledger.Outcome
	}{
		"it lags by an hour":         {-time.Hour, ledger.Gone},
		"it is ahead":                {time.Hour, ledger.DryRun},
		"it is ours":                 {0, ledger.DryRun},
		"it lags, and still it held": {-time.Millisecond, ledger.DryRun},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			begun := pgtest.Value[time.Time](t, srv, "select query_start - interval '1 minute' from pg_stat_activity where pid = $1", c.PID())
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
				afterFind: func(_ int, s *session.Found) {
					s.SeenAt = pgtest.Value[time.Time](t, srv, "select clock_timestamp()").Add(tc.shift)
					s.QueryStart = begun
				},
			}), func(s *remediation.Settings) { s.Config.Mode = remediation.ModeDryRun })
			if got := b.alert(t, pidOnly(c.PID()).with("severity", "warning")); got.Outcome != tc.outcome {
				t.Errorf("got %+v, want %s", got, tc.outcome)
			}
		})
	}
	t.Run("ahead, it excuses nothing", func(t *testing.T) {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
			afterFind: func(_ int, s *session.Found) { s.SeenAt = s.QueryStart.Add(time.Hour) },
		}))
		results, lines := b.recorded(t, c.Activity(t).QueryStart, pidOnly(c.PID()).with("severity", "warning"))
		check(t, results[0], policy.None, ledger.Gone, "")
		checkLines(t, lines, "gone")
	})
}
