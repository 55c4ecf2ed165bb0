package remediation_test

// In this file: what waits for a person, in the ledger: over a restart, a
// rotation, and when it cannot be written; and which alerts are one question.

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// What waits, waits on after a restart and in the next file, as it was asked; a
// denial holds, and an answer counts once.
func TestWhatWaitsSurvivesARestartAndARotation(t *testing.T) {
	srv := pgtest.Start(t)
	restarted := func(t *testing.T, b *testRemediator, path string) { b.restart(t, path) }
	for name, between := range map[string]func(*testing.T, *testRemediator, string){
		"a restart": restarted,
		"a rotation": func(t *testing.T, b *testRemediator, path string) {
			rotate(t, b, path)
		},
		"a rotation and a restart": func(t *testing.T, b *testRemediator, path string) {
			rotate(t, b, path)
			restarted(t, b, path)
		},
		"two restarts": func(t *testing.T, b *testRemediator, path string) {
			restarted(t, b, path)
			restarted(t, b, path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
			path := b.moveLedger(t)
			c, left := srv.Run(t, "app", "select pg_sleep(60)"), srv.Run(t, "app", "select pg_sleep(60)")
			alert, denied := teams(t, c, "warning", "query_start"), teams(t, left, "warning", "query_start")
			id, deniedID := b.asked(t, alert), b.asked(t, denied)
			if _, err := b.remediator.Deny(t.Context(), deniedID, "bob", "no"); err != nil {
				t.Fatal(err)
			}
			between(t, b, path)
			if n := b.value(t, pendingApprovals); n != 1 {
				t.Errorf("%v orders wait", n)
			}
			if again := b.asked(t, alert); again != id {
				t.Errorf("asked again, as %s", again)
			}
			check(t, b.alert(t, denied), policy.Cancel, ledger.Refused, policy.ReasonDenied)
			check(t, b.approve(t, id), policy.Cancel, ledger.Cancelled, policy.ReasonRule) // the labels are known
			if state := sqlstate(c.Wait(t)); state != "57014" {
				t.Errorf("the client saw %q", state)
			}
			between(t, b, path)
			for _, over := range []string{id, deniedID} { // a new file does not have every answer of the old one
				_, err := b.remediator.Approve(t.Context(), over, "ann", "")
				if !errors.Is(err, ledger.ErrAnswered) && !errors.Is(err, ledger.ErrNoApproval) {
					t.Errorf("approved again: %v", err)
				}
			}
			if n := b.value(t, pendingApprovals); n != 0 || !left.Running() {
				t.Errorf("%v orders wait; %t", n, left.Running())
			}
		})
	}
}

// rotate renames the file, and goes on in a new one.
func rotate(t *testing.T, b *testRemediator, path string) {
	t.Helper()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := b.ledger.Reopen(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

// Without a ledger nobody can be asked, and nobody can answer; nothing is
// signalled.
func TestAQuestionNeedsTheLedger(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := teams(t, c, "warning", "query_start")
	id := b.asked(t, alert)
	if err := b.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := b.remediator.Approve(t.Context(), id, "ann", ""); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("approved: %+v, %v", got, err)
		}
	}
	if _, err := b.remediator.Deny(t.Context(), id, "ann", ""); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("denied: %v", err)
	}
	if n := b.value(t, pendingApprovals); n != 1 {
		t.Errorf("%v orders wait", n)
	}
	b.restart(t, "/dev/full")
	got := b.remediate(t, time.Now(), alert)[0]
	check(t, got, policy.Cancel, ledger.Failed, policy.ReasonRule)
	if n := b.value(t, pendingApprovals); !got.Retry || n != 0 {
		t.Errorf("%+v, and %v orders wait", got, n)
	}
	stays()
}

// The labels are kept to decide anew, so they cannot be shortened.
func TestLabelsThatAreTooLongToWait(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	alert := teams(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start")
	check(t, b.alert(t, alert.with("runbook", strings.Repeat("x", 16<<10))), policy.Cancel, ledger.Refused, policy.ReasonBadLabel)
	long := alert.with("runbook", strings.Repeat("x", 12<<10))
	id := b.asked(t, long)
	if got := b.remediator.Approvals()[0].Labels["runbook"]; got != long["runbook"] {
		t.Errorf("the label has %d bytes", len(got))
	}
	check(t, b.approve(t, id), policy.Cancel, ledger.Cancelled, policy.ReasonRule)
}

// Alerts that name the same and order the same are one question.
func TestWhichAlertsAreOneQuestion(t *testing.T) {
	srv := pgtest.Start(t)
	ladder := asks(policy.Terminate)
	ladder.Name, ladder.Matchers = "ladder", append(ladder.Matchers, `severity="critical"`)
	b := newTestRemediator(t, srv, "monsig", rules(t, ladder, asks(policy.Cancel)), func(s *remediation.Settings) {
		s.Config.Grace = 20 * model.Millisecond
	})
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := teams(t, c, "warning", "query_start")
	id := b.asked(t, alert)
	byTime := pidOnly(c.PID()).with("team", "dba", "severity", "warning")
	for name, tc := range map[string]struct {
		alert labels
		same  bool
	}{
		"another name":           {alert.with("alertname", "Another", "runbook", "x"), true},
		"fenced by time":         {byTime, true},
		"another period":         {teams(t, c, "warning", "xact_start"), false},
		"a further rung":         {alert.with("severity", "critical"), false},
		"without the server":     {alert.with("server", ""), true},
		"both periods, as once":  {teams(t, c, "warning", "query_start").with("xact_start", teams(t, c, "", "xact_start")["xact_start"]), false},
		"another alert's labels": {alert.with("zone", "a"), true},
	} {
		for range 2 {
			if got := b.asked(t, tc.alert); (got == id) != tc.same {
				t.Errorf("%s: the same question is %t", name, got == id)
			}
		}
	}
	all := b.remediator.Approvals()
	if n := b.value(t, pendingApprovals); n != 4 || len(all) != 4 || all[0].ID != id {
		t.Errorf("%v orders wait: %+v", n, all)
	}
	for _, q := range all {
		if !q.Fence(q.Server).Complete() {
			t.Errorf("this is no whole identity: %+v", q.Target)
		}
	}
	// The denial is about the same, whatever was ordered.
	if _, err := b.remediator.Deny(t.Context(), id, "bob", ""); err != nil {
		t.Fatal(err)
	}
	check(t, b.alert(t, alert.with("severity", "critical")), policy.Terminate, ledger.Refused, policy.ReasonDenied)
}

// An alert without the whole identity is about what the session did when it was
// asked about, and not about what it does when a person approves.
func TestAnApprovedOrderThatWasFencedByTime(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := pidOnly(c.PID()).with("team", "dba", "severity", "warning")
	id := b.asked(t, alert)
	b.settings.Config.RequireIdentity = true
	b.apply(b.settings)
	check(t, b.approve(t, id), policy.Cancel, ledger.Cancelled, policy.ReasonRule)
	_ = c.Wait(t)

	b.settings.Config.RequireIdentity = false
	b.apply(b.settings)
	c.Start(t, "select pg_sleep(60)")
	id = b.asked(t, alert)
	srv.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", c.PID()))
	_ = c.Wait(t)
	c.Start(t, "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	if got := b.approve(t, id); got.Outcome != ledger.Gone {
		t.Errorf("%+v", got)
	}
	stays()
}

// The metric has the servers that are configured, and is right after a reload.
func TestPendingApprovalsFollowTheConfiguration(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	id := b.asked(t, teams(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start"))
	has := func(want string) {
		t.Helper()
		families, err := b.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "pgbailiff_pending_approvals" {
					got += fmt.Sprint(m.GetLabel()[0].GetValue(), " ", m.GetGauge().GetValue(), ";")
				}
			}
		}
		if got != want {
			t.Errorf("the metric says %q, want %q", got, want)
		}
	}
	has("orders 1;")
	both := b.settings
	both.Servers = map[string]remediation.Server{"orders": b.settings.Servers["orders"], "billing": b.settings.Servers["orders"]}
	b.apply(both)
	has("billing 0;orders 1;")
	without := both
	without.Servers = map[string]remediation.Server{"billing": b.settings.Servers["orders"]}
	b.apply(without)
	has("billing 0;")
	if err := b.shared.ExpireApprovals(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	has("billing 0;")
	check(t, b.approve(t, id), policy.None, ledger.Refused, policy.ReasonUnknownServer)
	b.apply(both)
	has("billing 0;orders 0;")
}
