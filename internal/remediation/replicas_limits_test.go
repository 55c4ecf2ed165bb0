package remediation_test

// In this file: approvals and limits of two replicas.

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// What one replica asks a person about may be approved at any other.
func TestAnApprovalAtAnotherReplica(t *testing.T) {
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv, rules(t, asks(policy.Cancel)))
	a, b := r.all[0], r.all[1]
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := teams(t, c, "warning", "query_start")
	id := a.asked(t, alert)
	if other := b.asked(t, alert); other != id {
		t.Errorf("it is asked twice: %s and %s", id, other)
	}
	waits := func(one *testRemediator, n int) {
		t.Helper()
		proctest.Until(t, fmt.Sprintf("%d orders to wait", n), func() bool {
			one.shared.Refresh(time.Now())
			return len(one.remediator.Approvals()) == n && one.value(t, pendingApprovals) == float64(n)
		})
	}
	waits(b, 1)
	if got := b.approve(t, id); got.Outcome != ledger.Cancelled || !got.Signalled {
		t.Errorf("%+v", got)
	}
	if _, err := a.remediator.Approve(t.Context(), id, "bob", ""); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("approved once more: %v", err)
	}
	if state := sqlstate(c.Wait(t)); state != "57014" {
		t.Errorf("the client saw %q", state)
	}
	checkLines(t, withoutWaiting(r.lines(t)), "intent cancel", "cancelled+")
	waits(a, 0)
	r.checkSteps(t)
}

// withoutWaiting leaves out the lines about the question.
func withoutWaiting(lines []ledger.Entry) (rest []ledger.Entry) {
	for _, line := range lines {
		if line.Event == ledger.EventIntent || line.Event == ledger.EventOutcome {
			rest = append(rest, line)
		}
	}
	return rest
}

// The limits hold for all replicas together, and so do a suspension and its end.
func TestTheLimitsOfTwoReplicas(t *testing.T) {
	const n, actions = 20, 7
	srv := pgtest.Start(t, "max_connections=200")
	r := newReplicas(t, srv, srv, func(s *remediation.Settings) {
		s.Config.Limits = ledger.Limits{Actions: actions, Window: model.Hour, SuspendAfter: actions + 1, SuspendWindow: model.Hour}
	})
	a, b := r.all[0], r.all[1]
	crowd(t, srv, n)
	alerts := crowdAlerts(t, srv, "warning")
	r.deliver(t, alerts...)
	if sent := r.signals.total(); sent != actions {
		t.Errorf("%d signals were sent", sent)
	}
	for _, one := range r.all {
		one.limits(ledger.Limits{Actions: n, Window: model.Hour, SuspendAfter: actions + 1, SuspendWindow: model.Hour})
	}
	r.deliver(t, alerts...)
	if sent := r.signals.total(); sent != actions+1 {
		t.Errorf("%d signals were sent until the suspension", sent)
	}
	shows := func(want float64) {
		t.Helper()
		for _, one := range r.all {
			proctest.Until(t, "the metric to show it", func() bool {
				one.shared.Refresh(time.Now())
				return one.value(t, suspended) == want
			})
		}
	}
	shows(1)
	if err := b.remediator.Resume(t.Context(), "orders", "ann"); err != nil {
		t.Fatal(err)
	}
	shows(0)
	results := a.remediate(t, time.Now(), alerts...)
	if got := outcomes(results); got[ledger.Cancelled] != actions+1 || got[ledger.Refused] != n-2*(actions+1) {
		t.Errorf("after the resumption they ended %v", got)
	}
	r.checkSteps(t)
}
