package remediation_test

// In this file: an order waits for a person, who approves or denies it, or nobody
// does.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// However often the alert comes, a person is asked once.
func TestAnOrderWaitsForAPerson(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	if n := b.value(t, pendingApprovals); n != 0 {
		t.Errorf("%v orders wait at the start", n)
	}
	alert := teams(t, c, "warning", "query_start")
	startsAt := time.Now().Add(-time.Minute)
	together := b.remediate(t, startsAt, slices.Repeat([]labels{alert}, 10)...)
	id := b.asked(t, alert)
	for _, r := range together {
		check(t, r, policy.Cancel, ledger.Pending, policy.ReasonApproval)
		if r.Decision != id || r.Rule != "ask" || r.Retry || r.Detail == "" {
			t.Errorf("%+v", r)
		}
	}
	b.history(t, id, "asked")
	all := b.remediator.Approvals()
	if len(all) != 1 || len(b.ledger.Recent(100)) != 1 {
		t.Fatalf("waiting: %+v; the ledger: %+v", all, b.ledger.Recent(100))
	}
	q := all[0]
	fence, _ := session.ParseFence(alert)
	if q.ID != id || q.Fence("orders") != fence || q.Rule != "ask" || q.Alertname != "Test" || q.Severity != "warning" ||
		q.Labels["team"] != "dba" || !q.StartsAt.Equal(startsAt) || q.Until.Sub(q.Time).Round(time.Minute) != time.Hour ||
		q.State != session.StateActive || q.Query != "select pg_sleep(60)" {
		t.Errorf("waiting: %+v", q)
	}
	if n, all := b.value(t, pendingApprovals), b.value(t, total(ledger.Pending)); n != 1 || all != 11 {
		t.Errorf("%v orders wait, %v alerts were told so", n, all)
	}
	if _, err := b.remediator.Approve(t.Context(), "another id", "ann", ""); !errors.Is(err, ledger.ErrNoApproval) {
		t.Errorf("an unknown id: %v", err)
	}
	stays()
}

// Ten persons press at once.
func TestOneOfTenApprovalsIsCarriedOut(t *testing.T) {
	srv := pgtest.Start(t)
	h := &hooks{}
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), hooked(h))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	id := b.asked(t, teams(t, c, "warning", "query_start"))
	var all sync.WaitGroup
	carried := make(chan remediation.Result, 10)
	for i := range 10 {
		all.Go(func() {
			got, err := b.remediator.Approve(t.Context(), id, fmt.Sprintf("ann%d", i), "go on")
			switch {
			case err == nil:
				carried <- got
			case !errors.Is(err, ledger.ErrAnswered):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(carried) != 1 {
		t.Fatalf("%d orders were carried out", len(carried))
	}
	got := <-carried
	check(t, got, policy.Cancel, ledger.Cancelled, policy.ReasonRule)
	if state := sqlstate(c.Wait(t)); state != "57014" || h.signals != 1 {
		t.Errorf("the client saw %q; %d signals were sent", state, h.signals)
	}
	c.Start(t, "select pg_sleep(60)")
	untouched(t, srv, c.PID())()
	b.history(t, id, "asked", "approved", "intent cancel", "cancelled+")
	for _, line := range b.ledger.Recent(3) {
		if line.By != got.By {
			t.Errorf("carried out by %s, and the ledger says %+v", got.By, line)
		}
	}
	for series, want := range map[string]float64{
		pendingApprovals: 0, total(ledger.Pending): 1, total(ledger.Cancelled): 1,
	} {
		if n := b.value(t, series); n != want {
			t.Errorf("%s is %v, want %v", series, n, want)
		}
	}
	if delays, verified := b.observed(t, "pgbailiff_signal_delay_seconds"), b.observed(t, "pgbailiff_verify_duration_seconds"); delays != 0 || verified != 1 {
		t.Errorf("%d delays were observed, and the person's time is not ours; %d were verified", delays, verified)
	}
	if _, err := b.remediator.Deny(t.Context(), id, "bob", ""); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("denied afterwards: %v", err)
	}
}

// A denial holds for what it was about, and for nothing else.
func TestADeniedOrder(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := teams(t, c, "warning", "query_start")
	id := b.asked(t, alert)
	got, err := b.remediator.Deny(t.Context(), id, "bob", "month's end")
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, policy.Cancel, ledger.Refused, policy.ReasonDenied)
	for range 2 {
		repeated := b.alert(t, alert)
		check(t, repeated, policy.Cancel, ledger.Refused, policy.ReasonDenied)
		if want := "bob denied it: month's end"; repeated.Detail != want || got.Detail != want || got.By != "bob" || got.Decision != id {
			t.Errorf("%+v, and then %+v", got, repeated)
		}
	}
	b.history(t, id, "asked", "denied")
	if n, refused := b.value(t, pendingApprovals), b.value(t, "pgbailiff_refusals_total{reason=denied,server=orders}"); n != 0 || refused != 2 {
		t.Errorf("%v orders wait, %v were refused", n, refused)
	}
	if _, err := b.remediator.Approve(t.Context(), id, "ann", ""); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("approved afterwards: %v", err)
	}
	stays()
	srv.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", c.PID()))
	_ = c.Wait(t)
	c.Start(t, "select pg_sleep(60)")
	if next := b.asked(t, teams(t, c, "warning", "query_start")); next == id {
		t.Error("the next statement is the same question")
	}
}

// Nobody answers.
func TestAnOrderThatNobodyApprovesExpires(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), func(s *remediation.Settings) { s.Config.ApprovalTimeout = 1 })
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := teams(t, c, "warning", "query_start")
	id := b.asked(t, alert)
	if n := b.value(t, pendingApprovals); n > 1 {
		t.Errorf("%v orders wait", n)
	}
	proctest.Until(t, "the order to expire", func() bool { return len(b.remediator.Approvals()) == 0 })
	if _, err := b.remediator.Approve(t.Context(), id, "ann", ""); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("approved too late: %v", err)
	}
	b.history(t, id, "asked", "expired")
	b.settings.Config.ApprovalTimeout = model.Hour
	b.apply(b.settings)
	again := b.asked(t, alert)
	if n := b.value(t, pendingApprovals); again == id || n != 1 {
		t.Errorf("asked anew as %s, after %s; %v wait", again, id, n)
	}
	for _, tc := range []struct {
		after time.Duration
		want  float64
	}{{59 * time.Minute, 1}, {time.Hour, 0}} {
		if err := b.shared.ExpireApprovals(t.Context(), time.Now().Add(tc.after)); err != nil || b.value(t, pendingApprovals) != tc.want {
			t.Errorf("after %s: %v, %v wait", tc.after, err, b.value(t, pendingApprovals))
		}
	}
	b.history(t, again, "asked", "expired")
	stays()
}

// One approval covers both signals.
func TestAnApprovedOrderEscalates(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.CancelThenTerminate)), shortGrace(20*model.Millisecond))
	id := b.asked(t, teams(t, ignoresCancel(t, srv), "warning", "query_start"))
	check(t, b.approve(t, id), policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	b.history(t, id, "asked", "approved", "intent cancel", "ignored+", "intent terminate", "terminated+")
}

// Where nothing is signalled anyway, nobody is asked.
func TestOnlyInEnforceModeAPersonIsAsked(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := teams(t, c, "warning", "query_start")
	for mode, want := range map[remediation.Mode]string{remediation.ModeOff: "refused mode_off", remediation.ModeDryRun: "dry_run"} {
		b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), func(s *remediation.Settings) { s.Config.Mode = mode })
		results, lines := b.recorded(t, time.Now(), alert)
		checkLines(t, lines, want)
		if says := strings.Contains(results[0].Detail, "a person would be asked"); says != (mode == remediation.ModeDryRun) {
			t.Errorf("%s: detail %q", mode, results[0].Detail)
		}
		if p := b.remediator.Preview(t.Context(), request(alert, 0, time.Now(), time.Time{})); !p.Approval || p.Outcome != ledger.DryRun {
			t.Errorf("%s: the preview is %+v", mode, p)
		}
		if got := b.alert(t, alert.with("team", "")); strings.Contains(got.Detail, "asked") {
			t.Errorf("%s: without the rule: %+v", mode, got)
		}
		if n := b.value(t, pendingApprovals); n != 0 || len(b.remediator.Approvals()) != 0 {
			t.Errorf("%s: %v orders wait", mode, n)
		}
	}
}
