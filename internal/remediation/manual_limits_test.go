package remediation_test

// In this file: mode, budget, suspension and the ledger, for people.

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestAPersonActsInAnyMode(t *testing.T) {
	srv := pgtest.Start(t)
	for _, mode := range []remediation.Mode{remediation.ModeOff, remediation.ModeDryRun, ""} {
		t.Run(string(mode), func(t *testing.T) {
			b := newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) { s.Config.Mode = mode })
			c := srv.Run(t, "app", "select pg_sleep(60)")
			got, lines := b.ordered(t, orders(policy.Cancel), seen(t, c))
			check(t, got, policy.Cancel, ledger.Cancelled, policy.ReasonManual)
			checkLines(t, lines, "intent cancel", "cancelled+")
		})
	}
}

// A reload that turns remediation off does not stop an order by hand, neither
// before its signal nor during its grace.
func TestAReloadDoesNotStopAPersonsOrder(t *testing.T) {
	srv := pgtest.Start(t)
	for _, mode := range []remediation.Mode{remediation.ModeOff, remediation.ModeDryRun} {
		t.Run(string(mode), func(t *testing.T) {
			c := ignoresCancel(t, srv)
			var b *testRemediator
			reload := func() {
				next := b.settings
				next.Config.Mode = mode
				b.apply(next)
			}
			b = newTestRemediator(t, srv, "monsig", shortGrace(20*model.Millisecond), hooked(&hooks{
				afterFind:  func(int, *session.Found) { reload() },
				afterWatch: func(int, session.Observation) { reload() },
			}))
			got, lines := b.ordered(t, orders(policy.CancelThenTerminate), seen(t, c))
			check(t, got, policy.CancelThenTerminate, ledger.Terminated, policy.ReasonManual)
			checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "terminated+")
		})
	}
}

// An order by hand is neither stopped by the limits nor counted against them.
func TestAPersonActsWithoutBudgetAndUnderASuspension(t *testing.T) {
	srv := pgtest.Start(t)
	limits := ledger.Limits{Actions: 1, Window: model.Hour, SuspendAfter: 1000, SuspendWindow: model.Hour}
	b := newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) { s.Config.Limits = limits })
	run := func() *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") }
	personActs := func(want int, wantSuspended float64) {
		t.Helper()
		got, lines := b.ordered(t, orders(policy.Cancel), seen(t, run()))
		check(t, got, policy.Cancel, ledger.Cancelled, policy.ReasonManual)
		checkLines(t, lines, "intent cancel", "cancelled+")
		if spent := b.ledger.Spent("orders", time.Hour, time.Now()); spent != want {
			t.Errorf("%d signals are spent, want %d", spent, want)
		}
		if is := b.value(t, suspended); is != wantSuspended {
			t.Errorf("%s is %v", suspended, is)
		}
	}
	for range 3 {
		personActs(0, 0)
	}
	check(t, b.alert(t, identity(t, run(), "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	victim := run()
	check(t, b.alert(t, identity(t, victim, "warning", "query_start")), policy.Cancel, ledger.Refused, policy.ReasonOverBudget)
	personActs(1, 0)

	limits.Actions, limits.SuspendAfter = 10, 2
	b.limits(limits)
	personActs(1, 0)
	check(t, b.alert(t, identity(t, victim, "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	check(t, b.alert(t, identity(t, run(), "warning", "query_start")), policy.Cancel, ledger.Refused, policy.ReasonSuspended)
	personActs(2, 1)
	if err := b.remediator.Resume(t.Context(), "orders", "ann"); err != nil {
		t.Fatal(err)
	}
	personActs(2, 0)
	personActs(2, 0)
}

// Without a durable intent a person signals nothing either. What a repeat can mend
// asks for one.
func TestAPersonsOrderNeedsALedgerAndAServer(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	b.restart(t, "/dev/full")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f, stays := seen(t, c), untouched(t, srv, c.PID())
	order := func() remediation.Result {
		return b.remediator.Remediate(t.Context(), remediation.Manual("ann", "", orders(policy.Terminate), f, nil))
	}
	got := order()
	check(t, got, policy.Terminate, ledger.Failed, policy.ReasonManual)
	if !got.Retry || got.Signalled || !strings.Contains(got.Detail, "ledger") {
		t.Errorf("the result is %+v", got)
	}
	stays()
	b.restart(t, filepath.Join(t.TempDir(), "ledger.jsonl"))
	srv.Kill(t)
	got = order()
	check(t, got, policy.Terminate, ledger.Failed, "")
	if !got.Retry || got.Signalled || got.By != "ann" {
		t.Errorf("the result is %+v", got)
	}
}

// A line that somebody has edited does not make a person's order of an alert's:
// mode, budget and protections hold.
func TestAQuestionIsAlwaysAnAlerts(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := teams(t, c, "warning", "query_start")
	fence, err := session.ParseFence(alert)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]option{
		"mode_off":    func(s *remediation.Settings) { s.Config.Mode = remediation.ModeOff },
		"over_budget": func(s *remediation.Settings) { s.Config.Limits.Actions = 0 },
	} {
		b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), change)
		now := time.Now()
		if _, _, err := b.ledger.Ask(t.Context(), ledger.Entry{
			Time: now, ID: "A", Server: "orders", Target: ledger.FenceTarget(fence), Action: policy.Cancel,
			Origin:   ledger.Origin{Source: ledger.SourceManual, By: "eve"},
			Question: ledger.Question{Labels: alert, Until: now.Add(time.Hour)},
		}); err != nil {
			t.Fatal(err)
		}
		if got := b.approve(t, "A"); got.Outcome != ledger.Refused || string(got.Reason) != want {
			t.Errorf("want %s: %+v", want, got)
		}
	}
	stays()
}
